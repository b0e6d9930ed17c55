import { roundPayouts, tranchesOf } from '#payments/allocate.ts'
import { type RunManifest, receiptListSchema } from '#protocol/manifest.ts'
import type { Purpose } from '#protocol/plan.ts'
import type { Payout } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'
import type { RoundEntry } from './round.ts'
import type { Order } from './run.ts'
import type { Contribution } from './updates.ts'
import { asStep, type Step } from './verdict.ts'

/**
 * Step `payout`: one receipt for each report of a closed training round, in seat order, of the amount that budget, round
 * and number of reports give; none for any other round. As many receipts as reports and one a seat leave no room for a
 * second one.
 */
export async function checkPayouts(
  blocks: Blocks,
  { run }: Order<RunManifest>,
  entry: RoundEntry,
  purpose: Purpose,
  reports: readonly Contribution[],
): Promise<Result<readonly Payout[], Step>> {
  if (purpose !== 'train')
    return entry.receipts === null ? accept([]) : refuse('payout', `an ${purpose} round pays nobody`)
  const expected = roundPayouts(
    tranchesOf(run),
    entry.part,
    reports.map((report) => report.node),
  )
  if (entry.receipts === null) return refuse('payout', `no receipts for ${reports.length} reports`)
  const list = asStep('payout', 'the receipts', await blocks.read(entry.receipts, receiptListSchema))
  if (!list.ok) return list
  if (list.value.length !== reports.length)
    return refuse('payout', `${list.value.length} receipts for ${reports.length} reports`)
  for (const [index, cid] of list.value.entries()) {
    const { seat, node, update } = reports[index] as Contribution
    const signed = await blocks.signed(cid, 'receipt', run.coordinator)
    if (!signed.ok) return asStep('payout', `the receipt of seat ${seat}`, signed)
    const receipt = signed.value.value
    const { amount } = expected[index] as Payout
    const terms = { run: run.run, round: entry.round, seat, node, update, manifest: entry.manifest, amount } as const
    for (const field of Object.keys(terms) as (keyof typeof terms)[])
      if (receipt[field] !== terms[field])
        return refuse('payout', `the receipt of seat ${seat}: ${field} is ${receipt[field]}, not ${terms[field]}`)
  }
  return accept(expected)
}
