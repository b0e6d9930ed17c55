import { draw } from '#protocol/draw.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Round } from '#protocol/ids.ts'
import type { RoundRecord } from '#protocol/manifest.ts'
import type { Candidate, Selection } from '#protocol/selection.ts'
import type { Hooks } from './fixture.ts'
import { plan, round, stranger } from './hooks.ts'
import type { Lie } from './lies.ts'

const another = signerOf(new Uint8Array(32).fill(78))

const selection = (at: Round, change: (selection: Selection) => Partial<Selection>): Hooks => ({
  selection: (honest, round) => (round === at ? { ...honest, ...change(honest) } : honest),
})
const candidate = (place: number, change: Partial<Candidate>) => (selection: Selection) => ({
  candidates: selection.candidates.map((one, at) => (at === place ? { ...one, ...change } : one)),
})

/** Somebody else who would have had a seat, had the coordinator told of it and kept to the draw. */
function withWinner({ seed, candidates }: Selection): Partial<Selection> {
  const newcomer = { operator: null, taken: 0, delivered: 0, passed: 0, paceMillis: null, tickets: 2 }
  for (let place = 1; place < 256; place++) {
    const { id: node } = signerOf(new Uint8Array(32).fill(place))
    const all = [...candidates, { ...newcomer, node }].toSorted((a, b) => (a.node < b.node ? -1 : 1))
    if (draw({ seed, candidates: all }, { max: 3, operatorSeatsMax: 1 }).includes(node)) return { candidates: all }
  }
  throw new Error('nobody wins')
}

/** The record of round 1 once more in round 2. */
function redrawn(): Hooks {
  let first: RoundRecord['selection'] | undefined
  return {
    manifest: (manifest) => {
      if (manifest.round === 1) first = manifest.selection
      return manifest.round === 2 && first ? { ...manifest, selection: first } : manifest
    },
  }
}

/** About who was drawn, and by which lots. */
export const DRAW_LIES: readonly Lie[] = [
  ['another seed', 2, selection(2, () => ({ seed: new Uint8Array(32) }))],
  ['a plan for the record', 1, round(1, ({ plan }) => ({ selection: plan }))],
  ['a file for the record', 1, round(1, ({ memory }) => ({ selection: memory }))],
  ["the last round's record", 2, redrawn()],
  ['one candidate fewer than seats', 1, selection(1, ({ candidates }) => ({ candidates: candidates.slice(1) }))],
  ['candidates out of order', 1, selection(1, ({ candidates }) => ({ candidates: candidates.toReversed() }))],
  [
    'one candidate twice',
    1,
    selection(1, ({ candidates }) => ({ candidates: candidates.flatMap((one) => [one, one]) })),
  ],
  [
    'a candidate that declined',
    1,
    selection(1, ({ candidates: [one] }) => ({ absent: one ? [{ node: one.node, reason: 'busy' }] : [] })),
  ],
  [
    'who declined, out of order',
    1,
    selection(1, () => ({
      absent: [stranger.id, another.id]
        .toSorted()
        .toReversed()
        .map((node) => ({ node, reason: 'busy' })),
    })),
  ],
  ['a ticket too many', 1, selection(1, candidate(0, { tickets: 3 }))],
  ['a seat that it did not keep, and it did', 2, selection(2, candidate(1, { delivered: 0, tickets: 2 }))],
  [
    'a seat that it kept, and it did not',
    3,
    selection(3, candidate(1, { delivered: 2, tickets: 3 })),
    { absent: { 2: [1] } },
  ],
  ['a seat that it never had', 1, selection(1, candidate(1, { taken: 1, delivered: 1, tickets: 3 }))],
  ['patience for a round in which it had a seat', 2, selection(2, candidate(1, { passed: 1, tickets: 6 }))],
  ['a pace in a draw that goes by none', 2, selection(2, candidate(1, { paceMillis: 5 }))],
  [
    'a pace of who never had a seat',
    1,
    {
      ...selection(1, candidate(1, { paceMillis: 5 })),
      ...plan(1, ({ cohort }) => ({ cohort: { ...cohort, paced: true } })),
    },
  ],
  [
    'a slow candidate with the tickets of a fast one',
    2,
    {
      ...selection(2, ({ candidates }) => ({
        candidates: candidates.map((one, at) => ({ ...one, paceMillis: at === 1 ? 200 : 100 })),
      })),
      plan: (plan) => ({ ...plan, cohort: { ...plan.cohort, paced: true } }),
    },
  ],
  [
    'two seats for one operator, which may have one',
    1,
    selection(1, ({ candidates }) => ({ candidates: candidates.map((one) => ({ ...one, operator: 'them' })) })),
  ],
  ['a candidate who won a seat and did not get it', 1, selection(1, withWinner)],
]
