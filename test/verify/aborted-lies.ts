import type { AbortedManifest, SeatRecord } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import type { Selection } from '#protocol/selection.ts'
import type { Step } from '#verify/verdict.ts'
import type { Hooks, ReportBody, Shape } from './fixture.ts'
import { stranger } from './hooks.ts'
import { emptyFile, type Lie, otherRun, signatures } from './lies.ts'
import { PUBLIC } from './telling.ts'

/** What is lied about rounds that came to nothing: the second one, which the third is again. */
const ROUND = 2
/** Seat 0 of three has reported. */
const PLAIN: Shape = { aborted: { 2: 'reporting' } }
/** All four have given an input, and a certificate came of them; round 3 was abandoned. */
const MASKED: Shape = { secure: PUBLIC, nodes: 4, planned: 4, fates: { 2: 'certified', 3: 'abandoned' }, until: 3 }

const record = (change: (record: AbortedManifest) => Partial<AbortedManifest>): Hooks => ({
  aborted: (honest) => (honest.round === ROUND ? { ...honest, ...change(honest) } : honest),
})
const seat = (at: number, change: (record: AbortedManifest) => Partial<SeatRecord>): Hooks =>
  record((honest) => ({
    seats: honest.seats.map((one, other) => (other === at ? { ...one, ...change(honest) } : one)),
  }))
const plan = (change: (plan: Plan) => Partial<Plan>): Hooks => ({
  plan: (honest) => (honest.round === ROUND ? { ...honest, ...change(honest) } : honest),
})
const report = (change: (report: ReportBody) => Partial<ReportBody>): Hooks => ({
  report: (honest, { round }) => (round === ROUND ? { ...honest, ...change(honest) } : honest),
})
const draw = (change: (selection: Selection) => Partial<Selection>): Hooks => ({
  selection: (honest, round) => (round === ROUND ? { ...honest, ...change(honest) } : honest),
})
const plain = (what: string, hooks: Hooks): Lie => [what, ROUND, hooks, PLAIN]
const masked = (what: string, hooks: Hooks): Lie => [what, ROUND, hooks, MASKED]
const signed = (type: string): readonly Lie[] => signatures(type, ROUND).map(([what, , hooks]) => plain(what, hooks))

/** The roster of round 2 once more in round 3. */
function rosterAgain(): Hooks {
  let first: AbortedManifest['roster'] = null
  return {
    aborted: (honest) => {
      if (honest.round === ROUND) first = honest.roster
      return honest.round === ROUND ? honest : { ...honest, roster: first }
    },
  }
}

export const ABORTED_LIES = {
  aborted: [
    ...signed('aborted'),
    plain(
      'another run',
      record(() => ({ run: otherRun })),
    ),
    plain(
      'another round',
      record(() => ({ round: 1 })),
    ),
    plain(
      'another purpose',
      record(() => ({ purpose: 'evaluate' })),
    ),
    plain(
      'no parent, though it has one',
      record(() => ({ parent: null })),
    ),
    plain(
      'another parent',
      record((honest) => ({ parent: honest.plan })),
    ),
    plain('receipts', { receipts: (sealed, at) => (at === ROUND ? [emptyFile] : sealed.length > 0 ? sealed : null) }),
    [
      'a closed round for an aborted one',
      1,
      {
        run: (run) => ({
          ...run,
          rounds: run.rounds.map((one) => (one.round === 1 ? { ...one, aborted: one.manifest, manifest: null } : one)),
        }),
      },
      PLAIN,
    ],
  ],
  plan: [
    ...signed('plan'),
    plain(
      'another round',
      plan(() => ({ round: 1 })),
    ),
    plain(
      'another model',
      plan(({ task }) => ({ model: task })),
    ),
    plain(
      'no parent',
      plan(() => ({ parent: null })),
    ),
    plain(
      'lots of its own choice',
      plan(() => ({ cohortSeed: new Uint8Array(32) })),
    ),
    plain(
      "another run's plan",
      plan(() => ({ run: otherRun })),
    ),
  ],
  endings: [
    [
      'endings that are none',
      3,
      { plan: (honest) => (honest.round === 3 ? { ...honest, endings: honest.task } : honest) },
      MASKED,
    ],
  ],
  cohort: [
    plain(
      'seats out of order',
      record(({ seats }) => ({ seats: seats.toReversed() })),
    ),
    plain(
      'one node in two seats',
      record(({ seats }) => ({ seats: [...seats.slice(0, 1), ...seats.slice(0, 2)] })),
    ),
    plain(
      'fewer seats than the plan admits',
      record(({ seats }) => ({ seats: seats.slice(1, 2) })),
    ),
    plain(
      'a seat of which nothing is said',
      seat(1, () => ({ reason: null })),
    ),
    plain(
      'seats before they were drawn',
      record(() => ({ phase: 'selection' })),
    ),
    plain(
      'no seats after they were drawn',
      record(() => ({ seats: [] })),
    ),
    plain(
      'a sum of fewer reports than the quorum',
      record(() => ({ phase: 'aggregation' })),
    ),
    plain(
      'a phase of masked rounds in a plain one',
      record(() => ({ phase: 'unmasking' })),
    ),
    plain(
      "another purpose's phase",
      record(() => ({ phase: 'evaluation' })),
    ),
    masked(
      'inputs before there were keys',
      record(() => ({ phase: 'keys' })),
    ),
  ],
  selection: [
    plain(
      'another seed',
      draw(() => ({ seed: new Uint8Array(32) })),
    ),
    plain(
      'a candidate fewer than seats',
      draw(({ candidates }) => ({ candidates: candidates.slice(1) })),
    ),
    plain(
      'a plan for the draw',
      record((honest) => ({ selection: honest.plan })),
    ),
    [
      'a round that was late forgotten in the next draw',
      3,
      {
        selection: (drawn, round) =>
          round === 3
            ? { ...drawn, candidates: drawn.candidates.map((one) => ({ ...one, taken: 1, delivered: 1, tickets: 3 })) }
            : drawn,
      },
      PLAIN,
    ],
  ],
  roster: [
    plain(
      'a roster of a plain round',
      record((honest) => ({ roster: honest.plan })),
    ),
    masked(
      'no roster, though keys were shared',
      record(() => ({ roster: null })),
    ),
    masked(
      'a plan for a roster',
      record((honest) => ({ roster: honest.plan })),
    ),
    masked('another cohort than its roster', {
      ...record(({ seats }) => ({ seats: seats.slice(1) })),
      ...draw(({ candidates }) => ({ candidates: candidates.slice(1) })),
    }),
    ["another round's roster", 3, rosterAgain(), MASKED],
  ],
  update: [
    ...signed('report'),
    plain(
      'a report to another coordinator',
      report(() => ({ to: stranger.id })),
    ),
    plain(
      'a report of another round',
      report(() => ({ round: 1 })),
    ),
    plain(
      'a report from another seat',
      report(() => ({ seat: 2 })),
    ),
    plain(
      'a report from another model',
      report((honest) => ({ model: honest.plan })),
    ),
    plain(
      'a plan for an update',
      seat(0, (honest) => ({ update: honest.plan })),
    ),
    masked(
      'a roster for an input',
      seat(1, (honest) => ({ update: honest.roster })),
    ),
    masked(
      "another seat's input",
      seat(1, ({ seats }) => ({ update: seats[0]?.update ?? null })),
    ),
  ],
} as const satisfies Partial<Record<Step, readonly Lie[]>>
