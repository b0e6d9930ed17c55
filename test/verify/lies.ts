import type { VerificationStep } from '#aggregation/secagg/verification.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Cid, Round, RunId } from '#protocol/ids.ts'
import type { RoundRecord, RunManifest, SeatRecord } from '#protocol/manifest.ts'
import type { Receipt } from '#protocol/receipt.ts'
import type { Step } from '#verify/verdict.ts'
import { DRAW_LIES } from './draw-lies.ts'
import type { Hooks, ReportBody, Shape } from './fixture.ts'
import { plan, round, stranger } from './hooks.ts'
import { RUN } from './prepared.ts'

/** What the lie is, the round in which it is found, how it is told, and what else the run looks like. */
export type Lie = readonly [what: string, round: Round | undefined, hooks: Hooks, shape?: Shape]

const closedIn = (rounds: RunManifest['rounds']) => rounds[0]?.manifest as Cid

export const otherRun = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
export const emptyFile = cidOf(RAW, new Uint8Array(0))

/** Each changes one thing said. */
const report = (change: (report: ReportBody) => Partial<ReportBody>): Hooks => ({
  report: (report, { round, seat }) => (round === 2 && seat === 1 ? { ...report, ...change(report) } : report),
})
const receipt = (change: (receipt: Receipt) => Partial<Receipt>): Hooks => ({
  receipt: (receipt, { round, seat }) => (round === 2 && seat === 1 ? { ...receipt, ...change(receipt) } : receipt),
})
const run = (change: (run: RunManifest) => Partial<RunManifest>): Hooks => ({
  run: (run) => ({ ...run, ...change(run) }),
})
const seat = (change: (seat: SeatRecord) => Partial<SeatRecord>) => (manifest: RoundRecord) => ({
  seats: manifest.seats.map((record, at) => (at === 1 ? { ...record, ...change(record) } : record)),
})
const lane = (index: number, value: number): Hooks => ({
  vector: (lanes, { round, seat }) => (round === 2 && seat === 1 ? lanes.with(index, value) : lanes),
})

/** Each spoils one kind of signature in one round. */
const forged = (type: string, at?: Round): Hooks => ({
  signed: (signed, { round }) =>
    signed.type === type && round === at
      ? { ...signed, signature: signed.signature.with(9, (signed.signature[9] as number) ^ 1) }
      : signed,
})
const byStranger = (type: string, at?: Round): Hooks => ({
  signed: (signed, { round }) =>
    signed.type === type && round === at ? stranger.sign(signed.type, signed.body) : signed,
})
const signedAs = (other: string, type: string, at?: Round): Hooks => ({
  signed: (signed, { round }, signer) =>
    signed.type === type && round === at ? signer.sign(other, signed.body) : signed,
})
const garbled = (type: string, at?: Round): Hooks => ({
  signed: (signed, { round }, signer) =>
    signed.type === type && round === at ? signer.sign(type, Uint8Array.of(0xa0)) : signed,
})
export const signatures = (type: string, at?: Round): readonly Lie[] => [
  ['a forged signature', at, forged(type, at)],
  ["a stranger's signature", at, byStranger(type, at)],
  ['a signature of another type', at, signedAs('hello', type, at)],
  ['a signed body of another shape', at, garbled(type, at)],
]

/** The seats of round 1 once more in round 2. */
function replayed(): Hooks {
  let first: RoundRecord['seats'] = []
  return {
    manifest: (manifest) => {
      if (manifest.round === 1) first = manifest.seats
      return manifest.round === 2 ? { ...manifest, seats: first } : manifest
    },
  }
}

/** Receipts of round 1 once more in round 2. */
function paidAgain(): Hooks {
  let first: readonly Parameters<NonNullable<Hooks['receipts']>>[0][number][] = []
  return {
    receipts: (sealed, round) => {
      if (round === 1) first = sealed
      return round === 2 ? first : sealed.length > 0 ? sealed : null
    },
  }
}

const receipts = (at: Round, change: Hooks['receipts']): Hooks => ({
  receipts: (sealed, round) => (round === at && change ? change(sealed, round) : sealed.length > 0 ? sealed : null),
})

/** What only a masked round has. */
export type MaskedStep = Extract<Step, VerificationStep | 'endings'> | 'session'
type Told = Exclude<
  Step,
  | 'container'
  | 'block'
  | 'coordinator'
  | 'run'
  | 'expect'
  | 'answer'
  | 'aborted'
  | 'start'
  | Exclude<MaskedStep, 'session' | 'vector' | 'sum'>
>

/** For every step, records that are consistent but for one thing, which exactly that step finds. */
export const LIES: Readonly<Record<Told, readonly Lie[]>> = {
  'run-manifest': [
    ...signatures('run'),
    ["another coordinator's name", undefined, run(() => ({ coordinator: stranger.id }))],
    ['a round left out', undefined, run(({ rounds }) => ({ rounds: rounds.toSpliced(0, 1) }))],
    ['rounds in another order', undefined, run(({ rounds }) => ({ rounds: rounds.toReversed() }))],
    ['a reason for failing though it was completed', undefined, run(() => ({ reason: 'tired' }))],
    ['a failure without a reason', undefined, run(() => ({ outcome: 'failed' }))],
    [
      'an extension from a round that it never had',
      undefined,
      run(() => ({ extensions: [{ from: 9, rounds: 1, budget: 0n }] })),
    ],
    ['more rounds than planned', undefined, run(() => ({ planned: 1 }))],
    [
      'rounds that are both closed and aborted',
      undefined,
      run(({ rounds }) => ({ rounds: rounds.map((round) => ({ ...round, aborted: round.manifest })) })),
    ],
    [
      'a round of which nothing is said',
      undefined,
      run(({ rounds }) => ({ rounds: rounds.map((round) => ({ ...round, aborted: null })) })),
      { aborted: { 2: 'reporting' } },
    ],
    [
      'a round after the last',
      undefined,
      run(({ rounds, task }) => ({ rounds: [...rounds, { round: 4, manifest: null, aborted: task, receipts: null }] })),
    ],
  ],
  origin: [
    ['itself', undefined, run(({ rounds }) => ({ origin: { run: RUN, round: 1, manifest: closedIn(rounds) } }))],
    [
      'a round of another run',
      undefined,
      run(({ rounds }) => ({ origin: { run: otherRun, round: 1, manifest: closedIn(rounds) } })),
    ],
    [
      'a model for the round',
      undefined,
      run(({ model }) => ({ origin: { run: otherRun, round: 1, manifest: model } })),
    ],
  ],
  task: [
    ['a model for the task', undefined, run(({ model }) => ({ task: model }))],
    ['a file for the task', undefined, run(() => ({ task: emptyFile }))],
    ['a model for the architecture', undefined, { task: (task) => ({ ...task, architecture: task.genesis }) }],
  ],
  genesis: [
    ['another first model', undefined, { task: (task) => ({ ...task, genesis: task.architecture }) }],
    ['a given model that is none', undefined, { task: (t) => ({ ...t, start: 'given', genesis: t.architecture }) }],
    ['another seed', undefined, { task: (task) => ({ ...task, seed: new Uint8Array(32).fill(1) }) }],
  ],
  'round-manifest': [
    ...signatures('round', 2),
    ['another run', 2, round(2, () => ({ run: otherRun }))],
    ['another number', 1, round(1, () => ({ round: 2 }))],
    ['another purpose', 3, round(3, () => ({ purpose: 'train' }))],
    ['no parent, though it has one', 2, round(2, () => ({ parent: null }))],
    ['a parent, though it is the first', 1, round(1, (manifest) => ({ parent: manifest.plan }))],
    [
      'one manifest in the place of two rounds',
      2,
      run(({ rounds }) => ({ rounds: rounds.map((round) => ({ ...round, manifest: rounds[0]?.manifest ?? null })) })),
    ],
  ],
  plan: [
    ...signatures('plan', 2),

    ['another run', 1, plan(1, () => ({ run: otherRun }))],
    ['another round', 1, plan(1, () => ({ round: 2 }))],
    ['another purpose', 1, plan(1, () => ({ purpose: 'evaluate' }))],
    ['another population', 1, plan(1, () => ({ population: 'hospital' }))],
    ['another task', 1, plan(1, ({ model }) => ({ task: model }))],
    ['another model', 2, plan(2, ({ task }) => ({ model: task }))],
    ['no parent', 2, plan(2, () => ({ parent: null }))],
    ['lots of its own choice', 2, plan(2, () => ({ cohortSeed: new Uint8Array(32) }))],
    ['fewer bits', 1, plan(1, ({ quantiser }) => ({ quantiser: { ...quantiser, bits: 8 } }))],
    ['another range', 1, plan(1, ({ quantiser }) => ({ quantiser: { ...quantiser, rangeMicro: 2_000_001 } }))],
    [
      'whole numbers, though it trains',
      1,
      plan(1, ({ quantiser }) => ({ quantiser: { ...quantiser, rangeMicro: 0 } })),
    ],
    ['heavier weights', 1, plan(1, ({ quantiser }) => ({ quantiser: { ...quantiser, weightMax: 501 } }))],
    [
      'a draw by how fast nodes were, from now on',
      2,
      plan(2, ({ cohort }) => ({ cohort: { ...cohort, paced: true } })),
    ],
    [
      'more seats for an operator, from now on',
      2,
      plan(2, ({ cohort }) => ({ cohort: { ...cohort, operatorSeatsMax: 2 } })),
    ],
    ['masks that the run does not have', 1, plan(1, () => ({ masking: 'secagg/1' }))],
    ['how a plain round is masked', 1, plan(1, () => ({ secure: { suite: 1, corrupt: 1, publish: 'full' } }))],
    ['endings of sessions that a plain run has not', 1, plan(1, ({ task }) => ({ endings: task }))],
    ['room for another cohort', 1, plan(1, ({ quantiser }) => ({ quantiser: { ...quantiser, nMax: 4 } }))],
  ],
  cohort: [
    ['seats out of order', 1, round(1, ({ seats }) => ({ seats: seats.toReversed() }))],
    ['one node in two seats', 2, round(2, ({ seats }) => ({ seats: [...seats, ...seats].slice(0, 1).concat(seats) }))],
    ['fewer reports than the quorum', 2, {}, { absent: { 2: [0, 2] } }],
    ['fewer seats than the plan admits', 1, round(1, ({ seats }) => ({ seats: seats.slice(0, 1) }))],
    [
      'more seats than the plan admits',
      1,
      round(1, ({ seats }) => ({
        seats: [...seats, { node: stranger.id, update: null, reason: 'late' }].toSorted((a, b) =>
          a.node < b.node ? -1 : 1,
        ),
      })),
    ],
    [
      'a reason beside a report',
      1,
      round(
        1,
        seat(() => ({ reason: 'late' })),
      ),
    ],
    [
      'neither a report nor a reason',
      1,
      round(
        1,
        seat(() => ({ update: null })),
      ),
    ],
  ],
  selection: DRAW_LIES,
  session: [
    [
      'a session in a plain round',
      1,
      round(1, ({ plan }) => ({
        session: { roster: plan, shared: plan, survivors: plan, certificate: plan, result: plan, maskCts: [] },
      })),
    ],
  ],
  update: [
    ...signatures('report', 2),

    ['a report to another coordinator', 2, report(() => ({ to: stranger.id }))],
    ['a report of another run', 2, report(() => ({ run: otherRun }))],
    ['a report of another round', 2, report(() => ({ round: 1 }))],
    ['a report from another seat', 2, report(() => ({ seat: 2 }))],
    ['a report of another plan', 2, report(({ model }) => ({ plan: model }))],
    ['a report from another model', 2, report(({ plan }) => ({ model: plan }))],
    ['another size', 2, report(({ sizeBytes }) => ({ sizeBytes: sizeBytes + 16 }))],
    ['another number of lanes', 2, report(({ lanes }) => ({ lanes: lanes + 4 }))],
    ["the last round's updates once more", 2, replayed()],
    ['a manifest for an update', 2, round(2, (manifest) => seat(() => ({ update: manifest.model }))(manifest))],
    [
      'a file for an update',
      2,
      round(
        2,
        seat(() => ({ update: emptyFile })),
      ),
    ],
  ],
  vector: [
    ["a weight above the contract's", 2, lane(0, 501)],
    ['a weight of nothing', 2, lane(0, 0)],
    ['two reports in one', 2, lane(1, 2)],
    ['something in the reserved lanes', 2, lane(2, 1)],
    ['something in the check lanes', 2, lane(-1, 1)],
    ['a coordinate above the range', 2, lane(8, 2 ** 24)],
    ['a coordinate heavier than its examples', 2, lane(8, 2 ** 24 - 1)],
    ['more right than there are rows', 2, lane(8 + 19 + 1, 60)],
    ['a manifest for a vector', 2, report(({ plan }) => ({ vector: plan }))],
    ['an empty vector', 2, report(() => ({ vector: emptyFile }))],
    [
      'a shorter vector than it says',
      2,
      {
        vector: (lanes, { round, seat }) => (round === 2 && seat === 1 ? lanes.slice(0, -4) : lanes),
        ...report(({ sizeBytes, lanes }) => ({ sizeBytes: sizeBytes + 16, lanes: lanes + 4 })),
      },
    ],
  ],
  sum: [
    [
      'one unit more in one lane',
      2,
      { aggregate: (lanes, round) => (round === 2 ? lanes.with(9, (lanes[9] as number) + 1) : lanes) },
    ],
    ['another file for the sum', 1, round(1, ({ memory }) => ({ aggregate: memory }))],
    [
      'a contributor left out',
      1,
      round(
        1,
        seat(() => ({ update: null, reason: 'late' })),
      ),
    ],
  ],
  model: [
    ['another model', 1, round(1, ({ plan }) => ({ model: plan }))],
    ['a model that an evaluate round changed', 3, round(3, ({ plan }) => ({ model: plan }))],
  ],
  memory: [['another memory', 1, round(1, ({ aggregate }) => ({ memory: aggregate }))]],
  evaluation: [
    ['one more right', 2, round(2, ({ evaluation: e }) => ({ evaluation: { ...e, correct: e.correct + 1 } }))],
    ['one row fewer', 3, round(3, ({ evaluation: e }) => ({ evaluation: { ...e, rows: e.rows - 1 } }))],
    ['a smaller loss', 1, round(1, ({ evaluation: e }) => ({ evaluation: { ...e, lossQ16: e.lossQ16 - 1 } }))],
  ],
  payout: [
    ...signatures('receipt', 2),
    ['one unit more', 2, receipt(({ amount }) => ({ amount: amount + 1n }))],
    ['one unit less', 2, receipt(({ amount }) => ({ amount: amount - 1n }))],
    ['another run', 2, receipt(() => ({ run: otherRun }))],
    ['another round', 2, receipt(() => ({ round: 1 }))],
    ['another seat', 2, receipt(() => ({ seat: 0 }))],
    ['another payee', 2, receipt(() => ({ node: stranger.id }))],
    ['another update', 2, receipt(({ manifest }) => ({ update: manifest }))],
    ['another manifest', 2, receipt(({ update }) => ({ manifest: update }))],
    ['one receipt left out', 1, receipts(1, (sealed) => sealed.slice(1))],
    ['one receipt twice', 1, receipts(1, (sealed) => [...sealed, ...sealed.slice(2)])],
    ['one receipt in the place of another', 1, receipts(1, ([first, , third]) => [first, first, third] as never)],
    ['receipts in another order', 1, receipts(1, (sealed) => sealed.toReversed())],
    ['no receipts', 1, receipts(1, () => null)],
    ["the last round's receipts once more", 2, paidAgain()],
    ['receipts for an evaluate round', 3, receipts(3, () => [emptyFile])],
    [
      'a larger budget than was paid from',
      1,
      run(({ budget, released }) => ({ budget: budget + 9n, released: released + 9n })),
    ],
  ],
  ledger: [
    [
      'more paid than receipts say',
      undefined,
      run(({ paid, released }) => ({ paid: paid + 1n, released: released - 0n })),
    ],
    ['more released than is left', undefined, run(({ released }) => ({ released: released + 1n }))],
    ['less released than is left', undefined, run(() => ({ released: 0n })), { until: 1 }],
    ['another final model', undefined, run(({ task }) => ({ model: task }))],
    ['no final figures', undefined, run(() => ({ evaluation: null }))],
    [
      'better final figures',
      undefined,
      run(({ evaluation }) => ({ evaluation: evaluation && { ...evaluation, correct: evaluation.rows } })),
    ],
    ['a run that failed though every round closed', undefined, run(() => ({ outcome: 'failed', reason: 'tired' }))],
    [
      'a run that was completed though it trained nothing',
      undefined,
      run(() => ({ outcome: 'completed', reason: null })),
      { aborted: { 1: 'reporting', 2: 'selection' }, until: 2 },
    ],
    ['a run that was stopped though it was done', undefined, run(() => ({ outcome: 'stopped', reason: 'enough' }))],
    [
      'a run that failed though its last round closed',
      undefined,
      run(() => ({ outcome: 'failed', reason: 'tired' })),
      { aborted: { 1: 'reporting' }, until: 2 },
    ],
    ['a run that failed though every round closed', undefined, run(() => ({ outcome: 'failed', reason: 'tired' }))],
    [
      'a run that was completed without its last round',
      undefined,
      run(({ rounds }) => ({ rounds: rounds.slice(0, -1), evaluation: null })),
    ],
  ],
}
