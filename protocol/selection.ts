import { z } from 'zod'
import { type Attendance, type Attended, attendanceFields, attended, NEWCOMER } from './attendance.ts'
import { bytesField, count, nodeIdField, operatorField, reasonName } from './codec.ts'
import type { Bytes, Millis, NodeId } from './ids.ts'
import { COHORT_MAX, TICKETS_MAX } from './limits.ts'

/**
 * The record of a selection, by which anyone redoes the draw: everybody who wanted a seat, with what its tickets come from,
 * and everybody who did not, with the reason. At its largest, 4,096 of each, it is 890 kB: one block.
 */
export const selectionSchema = z.strictObject({
  v: z.literal(1),
  /** The plan's. */
  seed: bytesField(32),
  /** Ascending by node. */
  candidates: z
    .array(
      z.strictObject({
        node: nodeIdField,
        /** Null: the node is its own. */
        operator: operatorField.nullable(),
        ...attendanceFields,
        tickets: count(TICKETS_MAX, 1),
      }),
    )
    .max(COHORT_MAX)
    .readonly(),
  /** Who declined, or left before the draw. Ascending by node. */
  absent: z
    .array(z.strictObject({ node: nodeIdField, reason: reasonName }))
    .max(COHORT_MAX)
    .readonly(),
})
export type Selection = z.output<typeof selectionSchema>
export type Candidate = Selection['candidates'][number]
export type Absence = Selection['absent'][number]

type Asked = {
  readonly seed: Bytes
  /** Whoever wants a seat, ascending. */
  readonly joined: readonly { readonly node: NodeId; readonly operator: string | null }[]
  readonly absent: readonly Absence[]
  readonly attendance: readonly Attendance[]
  readonly paced: boolean
}

export function selectionOf({ seed, joined, absent, attendance, paced }: Asked): Selection {
  const known = new Map(attendance.map((one) => [one.node, one]))
  const all = joined.map(({ node, operator }) => {
    const one = known.get(node)
    return { node, operator, ...(one ? attended(one, paced) : NEWCOMER) }
  })
  const median = medianPace(all)
  const candidates = all.map((one) => ({ ...one, tickets: ticketsOf(one, median) }))
  return { v: 1, seed, candidates, absent: absent.map(({ node, reason }) => ({ node, reason })) }
}

/**
 * A candidate's tickets, 1 … 16: reliability 1 … 4 × patience 1 … 4.
 *
 * Reliability is the chance that it keeps its next seat by Laplace's rule of succession, (delivered + 1) ÷ (taken + 2), in
 * quarters, rounded up. A newcomer has half of it: it need not prove itself first, and a bad name is not worth shedding
 * for a new key. Nobody has none: whoever fails comes back by being drawn.
 *
 * Pace halves it for every doubling above twice the middle pace of all candidates, so that times which merely waver change
 * nothing.
 *
 * Patience is one more for each draw in a row without a seat. It multiplies, so that reliable nodes keep their lead while
 * all wait; and it ends at four, so that no waiting outgrows it.
 */
export function ticketsOf({ taken, delivered, passed, paceMillis }: Attended, medianMillis: Millis | null): number {
  const reliability = Math.ceil((4 * (delivered + 1)) / (taken + 2))
  const patience = 1 + passed
  return Math.max(1, reliability >> doublings(paceMillis, medianMillis)) * patience
}

/** How often twice the median goes into the pace: 0 below it, 1 from twice, 2 from four times on. */
function doublings(paceMillis: Millis | null, medianMillis: Millis | null): number {
  if (paceMillis === null || medianMillis === null) return 0
  const median = Math.max(1, medianMillis)
  return paceMillis >= 4 * median ? 2 : paceMillis >= 2 * median ? 1 : 0
}

/** The lower one of the middle two. */
export function medianPace(candidates: readonly Pick<Attended, 'paceMillis'>[]): Millis | null {
  const paces = candidates.flatMap(({ paceMillis }) => (paceMillis === null ? [] : [paceMillis]))
  return paces.sort((a, b) => a - b)[(paces.length - 1) >> 1] ?? null
}
