import { readAbreast } from '#protocol/abreast.ts'
import type { Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import { receiptListSchema, seatListSchema } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Receipt } from '#protocol/receipt.ts'
import { accept } from '#protocol/result.ts'
import { readBlock, readRecord } from './record.ts'
import type { Run } from './run.ts'

export type Payment = { readonly receipt: Cid; readonly value: Receipt }
/** Of the payments, which is the next: rounds of the newest run first, the newest first, and in each by seat. */
export type PayoutCursor = { readonly run: RunId; readonly round: Round; readonly paid: number }

/** Rounds that one page looks through: whoever was paid seldom has pages that hold less, and go on. */
const ROUNDS_LOOKED_MAX = 256

/** What one settled round has paid, by seat; those from one place on, and no more of them than asked for. */
export async function paymentsOf(
  blobs: BlobStore,
  list: Cid,
  { from = 0, limit }: { readonly from?: number; readonly limit: number },
): Promise<{ readonly payments: readonly Payment[]; readonly total: number }> {
  const receipts = await readBlock(blobs, list, receiptListSchema)
  return { payments: await readReceipts(blobs, receipts.slice(from, from + limit)), total: receipts.length }
}

async function readReceipts(blobs: BlobStore, receipts: readonly Cid[]): Promise<readonly Payment[]> {
  const read = await readAbreast(receipts, async (receipt) =>
    accept({ receipt, value: await readRecord(blobs, receipt, 'receipt') }),
  )
  return read.ok ? read.value : []
}

/**
 * Payments of several runs, a page of them: read off their receipts, so that each is the coordinator's signed word.
 *
 * @param runs the newest first
 * @param after the last payment that is known already
 */
export async function payoutsOf(
  blobs: BlobStore,
  runs: readonly Run[],
  {
    node,
    after,
    limit,
  }: { readonly node?: NodeId | undefined; readonly after?: PayoutCursor | undefined; readonly limit: number },
): Promise<{ readonly payments: readonly Payment[]; readonly next: PayoutCursor | null }> {
  const payments: Payment[] = []
  let looked = 0
  for (const run of runs) {
    if (after && run.spec.run > after.run) continue
    const isCursor = run.spec.run === after?.run
    for (const past of run.past.toReversed()) {
      const { round, receipts, manifest } = past
      if (!receipts || receipts === 'overdue' || !manifest || (isCursor && round > after.round)) continue
      const from = isCursor && round === after.round ? after.paid : 0
      const found = node
        ? await paymentTo(blobs, { manifest, receipts }, node, from)
        : await paymentsOf(blobs, receipts, { from, limit: limit - payments.length })
      payments.push(...found.payments)
      const paid = from + found.payments.length
      if (payments.length === limit || ++looked === ROUNDS_LOOKED_MAX)
        return { payments, next: { run: run.spec.run, round, paid: node ? found.total : paid } }
    }
  }
  return { payments, next: null }
}

/** What a node got in one round: its place among the paid is that of its seat among those whose update is in. */
async function paymentTo(
  blobs: BlobStore,
  { manifest, receipts }: { readonly manifest: Cid; readonly receipts: Cid },
  node: NodeId,
  from: number,
): Promise<{ readonly payments: readonly Payment[]; readonly total: number }> {
  const list = await readBlock(blobs, receipts, receiptListSchema)
  const seats = await readBlock(blobs, (await readRecord(blobs, manifest, 'round')).seats, seatListSchema)
  const place = seats.filter(({ update }) => update !== null).findIndex((seat) => seat.node === node)
  const receipt = place >= from ? list[place] : undefined
  return { payments: await readReceipts(blobs, receipt ? [receipt] : []), total: list.length }
}
