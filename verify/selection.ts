import { type Attendance, attend, attended, isKept, type Kept, NEWCOMER } from '#protocol/attendance.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { draw } from '#protocol/draw.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { AbortedManifest, RoundRecord } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { medianPace, type Selection, selectionSchema, ticketsOf } from '#protocol/selection.ts'
import type { Blocks } from './blocks.ts'
import type { Standing } from './round.ts'
import type { Order } from './run.ts'
import { asStep } from './verdict.ts'

type Drawn = { readonly manifest: RoundRecord | AbortedManifest; readonly plan: Plan }

/**
 * Step `selection`: the record has the plan's seed; what it counts of each candidate is what the rounds before say; its
 * tickets follow from that; and the cohort is its draw, where it came to one. How fast a candidate was is the coordinator's
 * word, and so is who wanted a seat, and who is whose operator.
 *
 * @returns what the rounds say by now; null for who has not redone them all
 */
export async function checkSelection(
  blocks: Blocks,
  { kind }: Order,
  { attendance }: Standing,
  { manifest, plan }: Drawn,
): Promise<Result<readonly Attendance[] | null, 'selection'>> {
  const read = await blocks.read(manifest.selection, selectionSchema)
  if (!read.ok) return asStep('selection', 'the record', read)
  const selection = read.value
  if (!equalBytes(selection.seed, plan.cohortSeed)) return refuse('selection', 'its seed is not the one in the plan')
  const sound = checkLists(selection)
  if (!sound.ok) return sound
  const counted = checkTickets(selection, attendance, plan)
  if (!counted.ok) return counted
  if ('phase' in manifest && manifest.phase === 'selection') return accept(attendance)
  const cohort = draw(selection, plan.cohort)
  const { seats, round } = manifest
  const other = cohort.find((node, seat) => seats[seat]?.node !== node)
  if (cohort.length !== seats.length || other)
    return refuse(
      'selection',
      `the draw seats ${cohort.length}${other ? `, ${other} among them` : ''}: not this cohort`,
    )
  // The sets behind a question's answers are to be alike: its draws go by nothing.
  if (attendance === null || kind === 'asking') return accept(attendance)
  const kept = seats.map((seat): [NodeId, Kept] => [seat.node, { kept: isKept(seat), paceMillis: null }])
  const candidates = selection.candidates.map(({ node }) => node)
  return accept(attend(attendance, { round, candidates, seats: new Map(kept) }))
}

/** Both ascend, and nobody is on both or on one twice. */
function checkLists({ candidates, absent }: Selection): Result<undefined, 'selection'> {
  for (const list of [candidates, absent])
    for (const [index, { node }] of list.entries())
      if (index > 0 && (list[index - 1] as { readonly node: NodeId }).node >= node)
        return refuse('selection', `${node} is not in its place`)
  const wanting = new Set(candidates.map(({ node }) => node))
  const both = absent.find(({ node }) => wanting.has(node))
  return both ? refuse('selection', `${both.node} is a candidate and is absent`) : accept(undefined)
}

function checkTickets(
  { candidates }: Selection,
  attendance: readonly Attendance[] | null,
  { cohort }: Plan,
): Result<undefined, 'selection'> {
  const known = attendance && new Map(attendance.map((one) => [one.node, attended(one, false)]))
  const median = medianPace(candidates)
  for (const candidate of candidates) {
    const { node, taken, delivered, passed, paceMillis, tickets } = candidate
    if (paceMillis !== null && (!cohort.paced || taken === 0))
      return refuse(
        'selection',
        `${node} has a pace, and ${cohort.paced ? 'never had a seat' : 'the draw goes by none'}`,
      )
    const due = known && (known.get(node) ?? NEWCOMER)
    if (due && (due.taken !== taken || due.delivered !== delivered || due.passed !== passed))
      return refuse(
        'selection',
        `${node} kept ${due.delivered} of ${due.taken} seats and was passed over ${due.passed} times, not ${delivered} of ${taken} and ${passed}`,
      )
    if (delivered > taken) return refuse('selection', `${node} kept ${delivered} of ${taken} seats`)
    if (ticketsOf(candidate, median) !== tickets)
      return refuse('selection', `${node} has ${tickets} tickets, due are ${ticketsOf(candidate, median)}`)
  }
  return accept(undefined)
}
