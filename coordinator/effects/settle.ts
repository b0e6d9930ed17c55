import { roundPayouts } from '#payments/allocate.ts'
import { assert } from '#protocol/assert.ts'
import { type Signer, sealOf } from '#protocol/envelope.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { receiptListSchema, seatListSchema } from '#protocol/manifest.ts'
import type { BlobStore, Settlement } from '#protocol/ports.ts'
import { readSealed, signAs } from '#protocol/sealed.ts'
import { blockOf, readBlock } from '../record.ts'
import { partOf, tranchesOfRun } from '../run.ts'
import type { EffectHandler } from '../runner.ts'

/**
 * Pays a closed round's contributors and signs their receipts, from the sealed round manifest alone. The payment's id is
 * the run and round: doing it again pays nobody twice.
 */
export function settleEffect(doors: { blobs: BlobStore; signer: Signer; settlement: Settlement }): EffectHandler {
  return async (run, owed) => {
    assert(owed.kind === 'settle', 'this effect settles a round')
    const { blobs, signer, settlement } = doors
    const manifest =
      run.round?.round === owed.round && 'manifest' in run.round
        ? run.round.manifest
        : run.past[owed.round - 1]?.manifest
    assert(manifest, 'a round that is settled has a manifest')
    const record = await readSealed(manifest, 'round', (cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX))
    if (!record.ok) throw new Error(`the round's manifest cannot be read: ${record.refusal}`)
    if (record.value.value.purpose !== 'train') return { kind: 'settled', round: owed.round, receipts: null }

    const seats = await readBlock(blobs, record.value.value.seats, seatListSchema)
    const paid = seats.flatMap(({ node, update }, seat) => (update ? [{ node, update, seat }] : []))
    const nodes = paid.map(({ node }) => node)
    const payouts = roundPayouts(tranchesOfRun(run), partOf(run, owed.round), nodes)
    const amounts = new Map(payouts.map(({ payee, amount }) => [payee, amount]))
    await settlement.post(`${run.spec.run}-${owed.round}`, run.spec.run, payouts)
    const { run: id } = run.spec
    const receipts = paid.map(({ node, update, seat }) => {
      const amount = amounts.get(node) ?? 0n
      const body = { v: 1, run: id, round: owed.round, seat, node, update, manifest, amount } as const
      return sealOf(signAs(signer, 'receipt', body))
    })
    const list = blockOf(
      receiptListSchema,
      receipts.map(({ seal }) => seal.cid),
    )
    await blobs.putBlocks([...receipts.flatMap(({ body, seal }) => [body, seal]), list])
    return { kind: 'settled', round: owed.round, receipts: list.cid }
  }
}
