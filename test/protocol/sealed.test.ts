import { describe, expect, test } from '@jest/globals'
import { once } from '#protocol/bytes.ts'
import { sealOf, signerOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { keepSealed, readSealed } from '#protocol/sealed.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { coordinator, nodes, runId } from '#test/vectors/run.ts'

const blobs = openMemoryBlobs()
const block = (cid: Cid) => blobs.getBlock(cid, 2 ** 20)
const update = await blobs.put(once(Uint8Array.of(1)), 1)
const receipt = {
  v: 1,
  run: runId,
  round: 1,
  seat: 0,
  node: nodes[0] as (typeof nodes)[number],
  update,
  manifest: update,
  amount: 10n ** 25n,
} as const

describe('a sealed object', () => {
  test('comes back with its signer, and money comes back whole', async () => {
    const cid = await keepSealed(blobs, coordinator, 'receipt', receipt)
    const read = await readSealed(cid, 'receipt', block)
    expect(read).toEqual({ ok: true, value: { from: coordinator.id, value: receipt } })
  })

  test('kept twice has one CID, kept by another signer another', async () => {
    const cid = await keepSealed(blobs, coordinator, 'receipt', receipt)
    expect(await keepSealed(blobs, coordinator, 'receipt', receipt)).toBe(cid)
    expect(await keepSealed(blobs, signerOf(new Uint8Array(32)), 'receipt', receipt)).not.toBe(cid)
  })

  test('is not read as another type, though its signature is good', async () => {
    const cid = await keepSealed(blobs, coordinator, 'receipt', receipt)
    expect(await readSealed(cid, 'run', block)).toMatchObject({ ok: false, refusal: 'wrong-type' })
  })

  test('with a body of another shape is refused, though it is signed as this type', async () => {
    const body = Uint8Array.of(0xa0)
    const made = sealOf(coordinator.sign('receipt', body))
    await blobs.putBlocks([made.body, made.seal])
    expect(await readSealed(made.seal.cid, 'receipt', block)).toMatchObject({ ok: false, refusal: 'wrong-shape' })
  })
})
