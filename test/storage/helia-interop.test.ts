import { beforeAll, describe, expect, test } from '@jest/globals'
import { collect, equalBytes } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { withPeers } from '#storage/blobs/libp2p.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, inPieces } from '#test/content.ts'
import { comesTrue } from '#test/eventually.ts'
import { startHelia } from '#test/helia.ts'
import { type KuboDaemon, kuboForTests } from '#test/kubo.ts'
import { addressOf, loopbackPeer } from '#test/libp2p.ts'
import { type RecordedRun, recordRun } from '#test/verify/fixture.ts'
import { verifyRecord } from '#verify/verify.ts'

const MIB = BLOCK_BYTES_MAX
const file = contentOf('a file', 3 * MIB + 7)

describe('Helia', () => {
  let run: RecordedRun
  beforeAll(async () => {
    run = await recordRun({})
  })

  test('is given the whole record of a run by our peer, and it verifies', async () => {
    await using peer = await loopbackPeer({ blobs: openMemoryBlobs({ blocks: new Map(run.blocks) }) })
    await using helia = await startHelia()
    await helia.dial(addressOf(peer))
    const verdict = await verifyRecord(run.root, (cid) => helia.get(cid))
    expect(verdict).toMatchObject({ ok: true, root: run.root, model: run.manifest.model })
  })

  test('gives our peer the whole record of a run, and it verifies', async () => {
    await using helia = await startHelia()
    for (const [cid, bytes] of run.blocks) await helia.put(cid, bytes)
    await using peer = await loopbackPeer({ peers: [helia.address] })
    const verdict = await verifyRecord(run.root, (cid) => peer.want(cid))
    expect(verdict).toMatchObject({ ok: true, root: run.root, model: run.manifest.model })
  })

  test('fetches all blocks of a file at once from our peer, which was not there to be dialled but dialled Helia', async () => {
    const store = openMemoryBlobs()
    await store.put(inPieces(file, MIB), file.length)
    await using helia = await startHelia()
    await using _peer = await loopbackPeer({ blobs: store, listen: [], peers: [helia.address] })
    await comesTrue(async () => helia.connected().length === 1)
    const blocks = await blocksOf(file)
    const got = await Promise.all(blocks.map(({ cid }) => helia.get(cid)))
    expect(got.map((bytes, index) => equalBytes(bytes, blocks[index]?.bytes ?? bytes.subarray(1)))).not.toContain(false)
  })

  test('and our peer name a file alike, and say promptly what neither has', async () => {
    await using helia = await startHelia()
    for (const { cid, bytes } of await blocksOf(file)) await helia.put(cid, bytes)
    await using peer = await loopbackPeer({ peers: [helia.address] })
    const root = (await blocksOf(file)).at(-1)?.cid as string & ReturnType<typeof cidOf>
    const read = withPeers(openMemoryBlobs(), peer).get(root, { limitBytes: file.length })
    expect(equalBytes(await collect(read, file.length), file)).toBe(true)
    expect(await peer.want(cidOf(RAW, contentOf('nowhere', 9)))).toBeUndefined()
  })
})

const kubo = await kuboForTests('Kubo and our libp2p peer fetch from one another', 'open')
if (kubo) describe('Kubo', () => kuboTests(kubo))

function kuboTests({ rpcUrl, address, ipfs }: KuboDaemon): void {
  /** What `ipfs` sends for this command: itself it would hold up this process, and the peer in it. */
  async function asked(command: string, ...args: readonly string[]): Promise<Bytes> {
    const query = args.map((arg) => `arg=${encodeURIComponent(arg)}`).join('&')
    const response = await fetch(`${rpcUrl}/api/v0/${command}?${query}&timeout=20s`, { method: 'POST' })
    const body = new Uint8Array(await response.arrayBuffer())
    if (!response.ok) throw new Error(`ipfs ${command}: ${Buffer.from(body).toString()}`)
    return body
  }

  test('is given a file by our peer, whole and block by block, and names it alike', async () => {
    const store = openMemoryBlobs()
    const root = await store.put(inPieces(file, MIB), file.length)
    await using peer = await loopbackPeer({ blobs: store })
    await asked('swarm/connect', addressOf(peer))
    expect(equalBytes(await asked('cat', root), file)).toBe(true)
    for (const { cid, bytes } of await blocksOf(file))
      expect(equalBytes(await asked('block/get', cid), bytes)).toBe(true)
    expect(ipfs(['add', '--quieter', '--only-hash'], file).toString().trim()).toBe(root)
  })

  test('pins the whole record of a run that our peer has, and gives it to another of ours, where it verifies', async () => {
    const run = await recordRun({ seed: 'kubo' })
    await using serving = await loopbackPeer({ blobs: openMemoryBlobs({ blocks: new Map(run.blocks) }) })
    await asked('swarm/connect', addressOf(serving))
    await asked('pin/add', run.root)
    await using reading = await loopbackPeer({ listen: [], peers: [address()] })
    const verdict = await verifyRecord(run.root, (cid) => reading.want(cid))
    expect(verdict).toMatchObject({ ok: true, root: run.root, model: run.manifest.model })
    expect(await reading.want(cidOf(RAW, contentOf('nowhere', 9)))).toBeUndefined()
  })
}
