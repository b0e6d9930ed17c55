import { relative } from 'node:path'
import { formatCredits } from '#protocol/amount.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { Masking } from '#protocol/plan.ts'
import { unaddedIn, type Verdict } from '#verify/verdict.ts'
import { figureLines, scoreLine } from './render/figures.ts'
import { formatBytes, formatTested } from './render/units.ts'
import type { RunEnd } from './run-progress.ts'

/** How a demo ended. */
export type Outcome = {
  readonly rounds: number
  readonly sites: readonly { readonly name: string; readonly id: NodeId }[]
  readonly end: RunEnd
  readonly paid: ReadonlyMap<string, bigint>
  /** Path of the CAR file. */
  readonly bundle: string
  readonly verdict: Verdict
  readonly backend: string
  readonly masking: Masking
  readonly coordinator: NodeId
}

/** What stays on the screen under the table: who was paid, what was made, that it holds, and how to check it oneself. */
export function demoLines({ sites, end, paid, bundle, verdict, backend, coordinator }: Outcome): readonly string[] {
  const credits = (micro: string | bigint) => formatCredits(BigInt(micro))
  const { ledger, evaluation, model } = end
  const path = shortest(bundle)
  return [
    '',
    ...sites.map(({ name, id }) => `paid       ${name.padEnd(8)} ${credits(paid.get(id) ?? 0n)}  ${id}`),
    `budget     ${credits(ledger.budget)} credits = ${credits(ledger.paid)} paid + ${credits(ledger.released)} released`,
    ...(evaluation ? [scoreLine(evaluation, `${formatTested(evaluation)}  (${backend})`)] : []),
    ...figureLines(evaluation?.figures),
    `model      ${model}`,
    `verify     ${verdictText(verdict)}`,
    `bundle     ${path}`,
    '',
    'Check it yourself, or send it to somebody who does:',
    `  npm exec -- consilium verify ${path} --coordinator ${coordinator}`,
  ]
}

/** As one would type it here. */
function shortest(path: string): string {
  const near = relative('', path)
  return near.startsWith('..') ? path : near
}

function verdictText(verdict: Verdict): string {
  if (!verdict.ok)
    return `FAILED at ${verdict.step}${verdict.round ? ` of round ${verdict.round}` : ''}: ${verdict.detail}`
  const { blocks, bytes, signatures } = verdict.checked
  const signed = unaddedIn(verdict.rounds).length
  const redone = signed === 0 ? 'every sum and payment redone' : `every payment redone, ${signed} sums as signed`
  return `ok (pinned): ${blocks} blocks, ${formatBytes(bytes)}, ${signatures} signatures, ${redone}`
}
