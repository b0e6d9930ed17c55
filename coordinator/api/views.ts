import { sitesOf } from '#aggregation/quantise.ts'
import { type Payload, payloadIn, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import { roundPayouts, totalOf } from '#payments/allocate.ts'
import type { EventType } from '#protocol/event-types.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import { shown } from '#protocol/metrics.ts'
import type { Question } from '#protocol/question.ts'
import type { Subject } from '#protocol/subject.ts'
import type { Labelled } from '../labels.ts'
import { outcomeOf, pauseOf } from '../outcome.ts'
import { type Retention, vectorsUntil } from '../retention.ts'
import { type Round, reportedSeats, type Seated } from '../round/round.ts'
import type { Run } from '../run.ts'
import { partOf, tranchesOfRun } from '../run.ts'
import type { RunEvent } from '../run-events.ts'
import type { Advanced } from '../runner.ts'
import { shownRule } from '../stopping-early.ts'
import type { RunStatus } from './run-views.ts'

/** What the API and the event stream show of a run: derived from the log, flat, snake_case, units in the names. */
export function runOf(run: Run, { name }: Subject, labelled: Labelled, retention: Retention) {
  return {
    ...headOf(run),
    purpose: run.spec.purpose,
    ...calledOf(labelled, name),
    population: run.spec.population,
    federation: run.spec.federation as string | null,
    masking: run.spec.masking,
    rounds: totalOf({ ...run.spec, extensions: run.extensions }).rounds,
    closed: run.trained,
    over: run.past.length,
    round: run.round?.round ?? null,
    phase: run.round?.phase ?? null,
    task: run.spec.task as string,
    model: run.model as string,
    manifest: run.manifest as string | null,
    ...vectorsOf(run, retention),
    evaluation: evaluationOf(run, run.evaluation),
    stop_when: run.spec.stopWhen ? shownRule(run.spec.stopWhen) : null,
    origin: run.spec.origin ?? null,
    budget: String(totalOf({ ...run.spec, extensions: run.extensions }).budget),
    paid: String(run.paid),
    released: String(run.released),
  }
}

/** What they show of a question that is asked. */
export function queryOf(run: Run, { name, minCell, minCohort }: Question, labelled: Labelled) {
  return {
    ...headOf(run),
    ...calledOf(labelled, name),
    population: run.spec.population,
    federation: run.spec.federation as string | null,
    question: run.spec.task as string,
    min_cell: minCell,
    min_cohort: minCohort,
    round: run.round?.round ?? null,
    phase: run.round?.phase ?? null,
    manifest: run.manifest as string | null,
  }
}

function calledOf({ name, labels }: Labelled, subject: string) {
  return { name: name ?? subject, labels: { ...labels } }
}

export function statusOf(run: Run): RunStatus {
  return run.phase === 'ended' ? outcomeOf(run).outcome : run.phase
}

function headOf(run: Run) {
  const isOver = run.phase === 'finishing' || run.phase === 'ended'
  return {
    id: run.spec.run as string,
    status: statusOf(run),
    reason: isOver ? outcomeOf(run).reason : pauseOf(run),
    created_at: timeOf(run.createdAt),
  }
}

/** A run whose vectors have expired can be verified but for its sums. */
function vectorsOf(run: Run, retention: Retention) {
  const until = vectorsUntil(run, retention)
  return {
    vectors: run.expired > 0 ? ('expired' as const) : ('kept' as const),
    vectors_until: run.expired > 0 || until === null ? null : timeOf(until),
  }
}

/** Under masks every site counts alike and nobody learns how many rows it has: the mean is one of sites. */
export function evaluationOf({ spec }: Run, evaluation: Evaluation | null) {
  if (!evaluation || evaluation.rows === 0) return null
  const { rows, correct, lossQ16 } = evaluation
  const counted = spec.masking === 'none' ? { rows, sites: null } : { rows: null, sites: sitesOf(evaluation) }
  const figures = evaluation.figures && { figures: evaluation.figures.map(shown) }
  return { ...counted, accuracy: correct / rows, loss: lossQ16 / 65_536 / rows, ...figures }
}

export function timeOf(millis: number): string {
  return new Date(millis).toISOString()
}

/** One entry of the log as one public event: its type says what it led to. */
export function eventOf(transition: Advanced, payload: Payload): Record<string, unknown> & { type: EventType } {
  const { before, after, event, position } = transition
  const { type, ...fields } = meaningOf(before, after, event, payload)
  return { type, run: after.spec.run, seq: position, time: timeOf(event.at), ...fields }
}

function meaningOf(
  before: Run | undefined,
  after: Run,
  event: RunEvent,
  payload: Payload,
): { type: EventType; [key: string]: unknown } {
  const round = 'round' in event ? { round: event.round } : {}
  const ended = before?.round && !after.round ? after.past[before.round.round - 1] : undefined
  if (event.kind === 'stopped')
    return { type: 'run.stopping', reason: event.reason, round: ended?.round ?? null, purpose: ended?.purpose ?? null }
  if (ended && before?.round && ended.manifest === null)
    return { type: 'round.aborted', ...round, purpose: ended.purpose, reason: ended.reason, ...causedBy(event) }
  if (ended && before?.round)
    return { type: 'round.completed', ...round, ...completed(before, before.round, after, event.at, payload) }
  switch (event.kind) {
    case 'created':
      return {
        type: 'run.created',
        purpose: event.spec.purpose,
        rounds: event.spec.planned,
        budget: String(event.spec.budget),
        stop_when: event.spec.stopWhen ? shownRule(event.spec.stopWhen) : null,
        origin: event.spec.origin ?? null,
        masking: event.spec.masking,
        population: event.spec.population,
        federation: event.spec.federation,
        task: event.spec.task,
      }
    case 'held':
      return { type: 'run.funded', extension: event.extension ?? null }
    case 'paused':
      return { type: after.phase === 'paused' ? 'run.paused' : 'run.pausing', ...pausedBy(after) }
    case 'extended': {
      const { rounds, budget } = totalOf({ ...after.spec, extensions: after.extensions })
      const added = { rounds_added: event.rounds, budget_added: String(event.budget) }
      return { type: 'run.extended', ...added, rounds, budget: String(budget) }
    }
    case 'opened':
      return { type: 'round.opened', ...round, purpose: after.round?.purpose, invited: event.invited, plan: event.plan }
    case 'joined':
      return { type: 'node.joined', ...round, node: event.node, operator: event.operator, phase: after.round?.phase }
    case 'declined':
      return { type: 'node.declined', ...round, node: event.node, reason: event.reason }
    case 'left':
      return { type: 'node.left', ...round, node: event.node, reason: event.reason, phase: after.round?.phase }
    case 'reported':
      return { type: 'update.reported', ...round, node: event.node, update: event.update, train_ms: event.trainMillis }
    case 'enrolled':
      return { type: 'session.enrolled', ...round, roster: event.roster, ...thresholdsOf(after) }
    case 'dealt':
      return { type: 'keys.dealt', ...round, node: event.node }
    case 'shared':
      return { type: 'session.shared', ...round, shared: event.shared, out: event.out }
    case 'agreed':
      return { type: 'keys.agreed', ...round, node: event.node }
    case 'objected':
      return { type: 'keys.disputed', ...round, node: event.node, complaints: event.complaints }
    case 'surveyed':
      return { type: 'session.surveyed', ...round, survivors: event.survivors }
    case 'confirmed':
      return { type: 'survivors.confirmed', ...round, node: event.node }
    case 'certified':
      return { type: 'session.certified', ...round, certificate: event.certificate }
    case 'unmasked':
      return { type: 'masks.answered', ...round, node: event.node }
    case 'abandoned':
      return { type: 'session.abandoned', ...round, node: event.node, confirmed: event.confirmed }
    case 'ticked':
      return { type: 'phase.ended', ...round, phase: after.round?.phase, cause: 'deadline' }
    case 'aggregated':
      if (after.spec.purpose === 'ask')
        return { type: 'question.answered', ...round, manifest: event.manifest, reports: event.reports }
      return {
        type: 'model.aggregated',
        ...{ ...round, manifest: event.manifest, model: event.model, reports: event.reports },
        evaluated: evaluationOf(after, event.evaluation),
        evaluated_round: lastClosed(before),
      }
    case 'spoiled':
      return { type: 'round.aborted', ...round, reason: event.reason }
    case 'settled':
      return { type: 'round.settled', ...round, receipts: event.receipts }
    case 'recounted': {
      const recorded = { ...round, record: event.record }
      if (after.phase !== 'paused') return { type: 'round.recorded', ...recorded }
      return { type: 'run.paused', ...recorded, ...pausedBy(after) }
    }
    case 'resumed':
      return { type: 'run.resumed' }
    case 'finished': {
      const { outcome, reason } = outcomeOf(after)
      const total = totalOf({ ...after.spec, extensions: after.extensions })
      return {
        type: `run.${outcome}`,
        reason,
        rounds: total.rounds,
        evaluation: evaluationOf(after, after.evaluation),
        model: after.model,
        manifest: event.manifest,
        ledger: { budget: String(total.budget), paid: String(event.paid), released: String(event.released) },
      }
    }
    case 'expired':
      return { type: 'vectors.expired', through: event.through }
    case 'cleared':
      return { type: 'vectors.deleted', through: event.through }
  }
}

/** What ended a round; of a node that declined or left, with what it said, since no other event tells of it. */
function causedBy(event: RunEvent) {
  const says = event.kind === 'declined' || event.kind === 'left'
  return { cause: event.kind, ...(says && { node: event.node, node_reason: event.reason }) }
}

function pausedBy(run: Run) {
  return { reason: pauseOf(run), failures: run.failures }
}

function thresholdsOf({ round }: Run) {
  if (round?.phase !== 'keys') return {}
  const { C, q, t } = round.session.rule
  return { members: round.cohort.length, corrupt: C, quorum: q, threshold: t }
}

/** The round whose model the open round started from; 0 is the genesis. */
function lastClosed(run: Run | undefined): number {
  return run?.past.findLast((past) => past.manifest !== null && past.purpose === 'train')?.round ?? 0
}

function completed(before: Run, round: Round, after: Run, at: number, payload: Payload) {
  const seated = round as Round & Seated
  const reports = reportedSeats(seated)
  const trainMillis = seated.seats.map((state) => (state !== 'waiting' && 'update' in state ? state.trainMillis : 0))
  const slowest = Math.max(0, ...trainMillis)
  const duration = at - round.openedAt
  const nodes = reports.map(({ node }) => node)
  const payouts =
    round.purpose === 'train' ? roundPayouts(tranchesOfRun(before), partOf(before, round.round), nodes) : []
  return {
    purpose: round.purpose,
    cohort: seated.cohort.length,
    reports: reports.length,
    bytes_per_node: vectorBytesOf(widthOf(payloadIn(round.purpose, payload))),
    train_ms: slowest,
    duration_ms: duration,
    overhead_ms: Math.max(0, duration - slowest),
    model: after.model,
    manifest: after.parent,
    payouts: payouts.map(({ payee, amount }) => ({ node: payee, amount: String(amount) })),
    paused: after.phase === 'paused' ? pauseOf(after) : null,
  }
}
