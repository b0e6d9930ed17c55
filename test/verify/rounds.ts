import { scoreLanesOf, scoringOf } from '#aggregation/metrics/scoring.ts'
import { bound, evaluationRowsMax, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { say as saySecure } from '#aggregation/secagg/messages.ts'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import type { Cid, Round, Seat } from '#protocol/ids.ts'
import {
  type AbortedManifest,
  endingsSchema,
  type RoundRecord,
  type SessionManifest,
  seatListSchema,
} from '#protocol/manifest.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import { cohortSeed, quantiseSeed } from '#protocol/seeds.ts'
import { cohortOf } from '#test/cohort.ts'
import type { Absent } from '#test/secagg/play.ts'
import { countSeats, recordDraw } from './draws.ts'
import type { At, ReportBody, Shape } from './fixture.ts'
import { type Act, type Fate, keepSession, playEnding, playSession, type Stage } from './masked.ts'
import { type Play, RUN, type Standing, say } from './prepared.ts'

export async function playRound(play: Play, start: Standing, round: Round, { absent, losses }: Shape) {
  const { hooks, store, coordinator } = play
  const trains = start.trained < play.planned
  const parameters = play.scored + (trains ? play.parameters : 0)
  const plan = await planOf(play, start, round)
  const planCid = await say(play, coordinator, 'plan', hooks.plan?.(plan) ?? plan, { round })
  const act = { round, plan, planCid, parameters }
  const given = play.secure
    ? await gatherMasked(play, play.secure, act, losses?.[round] ?? {})
    : await gatherPlain(play, act, absent?.[round] ?? [])

  // Doubles hold it exactly, as the vectors are few.
  const sum = new Float64Array(given.vectors[0]?.length ?? 0)
  for (const vector of given.vectors)
    for (let index = 0; index < sum.length; index++) sum[index] = (sum[index] as number) + (vector[index] as number)
  const summed = Uint32Array.from(sum, (lane) => lane % 2 ** 32)
  const lanes = hooks.sum?.(summed, round) ?? summed
  const [rows, correct, high, low] = [...lanes.slice(8 + parameters)] as [number, number, number, number]
  const weights = trains ? start.weights.map((weight, index) => weight + step(play, plan, lanes, index)) : start.weights
  const model = await play.modelOf(weights)
  const shown = hooks.aggregate?.(lanes, round) ?? lanes
  const aggregate = await store.file(shown)
  const drawn = { seed: plan.cohortSeed, nodes: play.nodes.map(({ signer }) => signer.id), kept: play.kept }
  const selection = await recordDraw(store, drawn, (record) => hooks.selection?.(record, round) ?? record)
  const honest: RoundRecord = {
    v: 1,
    run: RUN,
    round,
    purpose: plan.purpose,
    parent: start.parent,
    plan: planCid,
    selection,
    seats: given.seats,
    session: (await given.session?.({ lanes: shown, aggregate, model })) ?? null,
    aggregate,
    memory: await store.file(new Float32Array(0)),
    model,
    evaluation: { rows, correct, lossQ16: high * 65_536 + low, ...figuresIn(play, lanes.slice(8, 8 + parameters)) },
  }
  countSeats(play.kept, given.seats)
  const { seats, ...told } = hooks.manifest?.(honest) ?? honest
  const manifest = { ...told, seats: await store.block(seatListSchema, seats) }
  const sealed = await say(play, coordinator, 'round', manifest, { round })
  const trained = start.trained + (trains ? 1 : 0)
  return { manifest: honest, sealed, end: { weights, model, parent: sealed, trained } }
}

/** What a round's seats gave. */
type Given = {
  readonly vectors: readonly Uint32Array[]
  readonly seats: RoundRecord['seats']
  readonly session?: (about: About) => Promise<SessionManifest>
}
type About = { readonly lanes: Uint32Array; readonly aggregate: Cid; readonly model: Cid }

async function gatherPlain(play: Play, act: Omit<Act, 'inputs'>, absent: readonly Seat[]): Promise<Given> {
  const { hooks, store, coordinator, nodes } = play
  const { round, plan, planCid } = act
  const vectors: Uint32Array[] = []
  const seats: RoundRecord['seats'][number][] = []
  for (const [seat, { signer }] of nodes.entries()) {
    if (absent.includes(seat)) {
      seats.push({ node: signer.id, update: null, reason: 'left' })
      continue
    }
    const lanes = inputOf(play, act, seat)
    vectors.push(lanes)
    const report: ReportBody = {
      to: coordinator.id,
      seq: round,
      run: RUN,
      round,
      seat,
      plan: planCid,
      model: plan.model,
      vector: await store.file(lanes),
      sizeBytes: lanes.byteLength,
      lanes: lanes.length,
      trainMillis: 5,
    }
    const at = { round, seat }
    const update = await say(play, signer, 'report', hooks.report?.(report, at) ?? report, at)
    seats.push({ node: signer.id, update, reason: null })
  }
  return { vectors, seats }
}

async function gatherMasked(play: Play, secure: Secure, before: Omit<Act, 'inputs'>, losses: Absent): Promise<Given> {
  const { hooks, nodes, earlier } = play
  const stage = stageOf(play, secure)
  const act = { ...before, inputs: nodes.map((_, seat) => inputOf(play, before, seat)) }
  const { record: honest, survivors, hidden, secrets } = await playSession(stage, act, losses)
  for (const [name, bytes] of hidden) play.hidden.set(name, bytes)
  play.secrets.push(...secrets)
  const inputs = new Map(honest.inputs.map(({ body, cid }) => [body.u, cid]))
  const session = async ({ lanes, aggregate, model }: About) => {
    const sumSha256 = sha256(new Uint8Array(lanes.buffer))
    const about = { sumCid: aggregate, sumSha256, model, verifier: 'secagg/1' }
    const result = saySecure(play.coordinator, 'Result', { ...honest.result.body, ...about })
    const record = { ...honest, result }
    const at = { ...stage, act, earlier }
    const told = { ...record, ...(await hooks.record?.(record, at)) }
    earlier.set(act.round, record)
    return keepSession(stage, told, hidden, (lists) => hooks.ciphertexts?.(lists, at) ?? lists)
  }
  return {
    vectors: survivors.map((u) => act.inputs[u - 1] as Uint32Array),
    seats: nodes.map(({ signer }, seat) => {
      const update = inputs.get(seat + 1) ?? null
      return { node: signer.id, update, reason: update ? null : 'late' }
    }),
    session,
  }
}

function stageOf({ store, coordinator, nodes, taskCid }: Play, secure: Secure): Stage {
  return { store, run: RUN, coordinator, members: nodes.map(({ signer }) => signer), task: taskCid, secure }
}

/** What a node gives, before masks. */
function inputOf(play: Play, { round, plan, parameters }: Omit<Act, 'inputs'>, seat: Seat): Uint32Array {
  const { secret } = play.nodes[seat] as Play['nodes'][number]
  const at = { round, seat }
  const rng = uint32Stream(quantiseSeed(secret, play.taskCid, round))
  const lanes = train(play, plan, rng, parameters, at)
  return play.hooks.vector?.(lanes, at) ?? lanes
}

/** A round that comes to nothing: its plan, how its session ended where it had one, and the record of it. */
export async function playAborted(play: Play, start: Standing, round: Round, { fates, aborted }: Shape): Promise<Cid> {
  const { hooks, coordinator, secure, nodes } = play
  const parameters = play.scored + (start.trained < play.planned ? play.parameters : 0)
  const plan = await planOf(play, start, round)
  const planCid = await say(play, coordinator, 'plan', hooks.plan?.(plan) ?? plan, { round })
  const before = { round, plan, planCid, parameters }
  const fate = fates?.[round]
  const far = aborted?.[round] ?? 'reporting'
  const ended = secure && fate ? await endMasked(play, secure, before, fate) : await endPlain(play, before, far)
  const drawn = { seed: plan.cohortSeed, nodes: nodes.map(({ signer }) => signer.id), kept: play.kept }
  const honest: AbortedManifest = {
    selection: await recordDraw(play.store, drawn, (record) => hooks.selection?.(record, round) ?? record),
    ...{ v: 1, run: RUN, round, purpose: plan.purpose, parent: start.parent, plan: planCid },
    ...{ phase: ended.phase, reason: ended.reason, roster: ended.roster },
    seats: nodes.slice(0, ended.phase === 'selection' ? 0 : nodes.length).map(({ signer }, seat) => {
      const update = ended.updates[seat] ?? null
      return { node: signer.id, update, reason: update ? null : 'late' }
    }),
  }
  countSeats(play.kept, honest.seats)
  return say(play, coordinator, 'aborted', hooks.aborted?.(honest) ?? honest, { round })
}

/** How a round came to nothing, and who had reported in it. */
type Ended = Pick<AbortedManifest, 'phase' | 'reason' | 'roster'> & { readonly updates: readonly (Cid | null)[] }

/** One report, or none that counts. */
async function endPlain(
  play: Play,
  act: Omit<Act, 'inputs'>,
  far: 'selection' | 'reporting' | 'aggregation',
): Promise<Ended> {
  if (far === 'selection' || play.secure) return { ...NOBODY, phase: 'selection', reason: 'too-few-nodes' }
  const absent = far === 'reporting' ? [...play.nodes.keys()].slice(1) : []
  const { seats } = await gatherPlain(play, act, absent)
  const reason = far === 'reporting' ? 'too-few-reports' : 'aggregation-late'
  const phase = far === 'reporting' && act.plan.purpose === 'evaluate' ? 'evaluation' : far
  return { phase, reason, roster: null, updates: seats.map(({ update }) => update) }
}

const NOBODY = { roster: null, updates: [] } as const

async function endMasked(play: Play, secure: Secure, before: Omit<Act, 'inputs'>, fate: Fate): Promise<Ended> {
  const act = { ...before, inputs: play.nodes.map((_, seat) => inputOf(play, before, seat)) }
  const { ending, abandons, updates, secrets } = await playEnding(stageOf(play, secure), act, fate)
  play.endings.push(ending)
  play.abandons.push(...abandons)
  play.secrets.push(...secrets)
  const { roster } = ending
  if (fate === 'certified') return { phase: 'unmasking', reason: 'too-few-shares', roster, updates }
  return { phase: 'consistency', reason: 'too-few-confirmations', roster, updates }
}

async function planOf(play: Play, start: Standing, round: Round): Promise<Plan> {
  const { hooks, store, task, taskCid, nodes, planned, secure, endings } = play
  const max = nodes.length
  const { clipNormMicro, movingRangeMicro, data } = task
  const at = secure && { ...stageOf(play, secure), earlier: play.earlier, abandons: play.abandons }
  const told = at && hooks.endings && endings.length > 0 ? await hooks.endings(endings, at) : endings
  return {
    v: 1,
    run: RUN,
    round,
    purpose: start.trained < planned ? 'train' : 'evaluate',
    population: 'open',
    masking: secure ? 'secagg/1' : 'none',
    secure,
    task: taskCid,
    model: start.model,
    parent: start.parent,
    endings: told.length > 0 ? await store.block(endingsSchema, told) : null,
    cohortSeed: cohortSeed(task.seed, start.model, round),
    cohort: cohortOf({ min: 2, max, quorum: 2 }),
    quantiser: quantiserFor({
      ...{ clipNormMicro, movingRangeMicro, cohortMax: max },
      rowsMax: secure ? 1 : data.rowsMax,
    }),
    timing: {
      ...{
        selectionMillis: 1000,
        keysMillis: 1500,
        reportingMillis: 2000,
        stragglerMillis: null,
        consistencyMillis: 2500,
      },
      ...{ unmaskingMillis: 2700, aggregationMillis: 3000, settlementMillis: 4000 },
    },
  }
}

/** What a node would have learned: any delta will do. */
function train(
  play: Play,
  { quantiser, secure }: Plan,
  rng: () => number,
  parameters: number,
  { round, seat }: At,
): Uint32Array {
  const { task } = play
  const scores = scoringOf(task)
  const learned = Float32Array.from({ length: parameters - scoreLanesOf(scores) }, () => rng() / 2 ** 31 - 1)
  const moving = learned.length > 0 ? play.moving : 0
  const rows = Math.min(20 + seat + round, evaluationRowsMax(quantiser))
  const counted = secure
    ? { rows: 65_536, correct: Math.round(65_536 * ((rows - 10 + round) / rows)) }
    : { rows, correct: rows - 10 + round }
  const lanes = quantise(
    {
      delta: bound(learned, quantiser, moving),
      weight: secure ? 1 : Math.min(80 + seat, task.data.rowsMax),
      evaluation: {
        ...counted,
        lossSumNats: counted.rows * 0.6,
        ...(task.metrics && { tallies: [histogramOf(counted, seat)] }),
      },
    },
    quantiser,
    rng,
    scores,
    moving,
  )
  assert(lanes.ok, 'the fixture has a sound update')
  return lanes.value
}

/** Rows by 256 bins of probability, class 0 and then class 1: as many on their own side of a half as are right. */
function histogramOf({ rows, correct }: { readonly rows: number; readonly correct: number }, seat: Seat): Float64Array {
  const cells = new Float64Array(512)
  const half = Math.floor(correct / 2)
  const wrong = Math.floor((rows - correct) / 3)
  cells[20 + seat] = half
  cells[200] = wrong
  cells[256 + 90] = rows - correct - wrong
  cells[256 + 200 + seat] = correct - half
  return cells
}

/** From docs/protocol.md, "Scores": of each pair of a row of class 1 and one of class 0, who has the higher bin. */
function figuresIn({ task }: Play, payload: Uint32Array): Pick<RoundRecord['evaluation'], 'figures'> {
  if (!task.metrics) return {}
  const [no, yes] = [[...payload.slice(-512, -256)], [...payload.slice(-256)]]
  let [won, tied, all] = [0, 0, 0]
  for (const [bin, one] of yes.entries())
    for (const [other, zero] of no.entries()) {
      all += one * zero
      if (bin > other) won += one * zero
      if (bin === other) tied += one * zero
    }
  const micro = Math.round(((won + tied / 2) / all) * 1_000_000)
  return { figures: [{ name: 'auroc', micro, withinMicro: Math.ceil((tied / 2 / all) * 1_000_000) }] }
}

/** How far one weight moves, from docs/protocol.md, "The vector", in its order of operations. */
function step({ task, parameters, moving }: Play, { quantiser }: Plan, lanes: Uint32Array, index: number): number {
  const [weight, reports, lane] = [lanes[0], lanes[1], lanes[8 + index]] as [number, number, number]
  const ofStatistics = task.movingRangeMicro ?? task.clipNormMicro
  const range = (index < parameters - moving ? task.clipNormMicro : ofStatistics) / 1e6
  const summed = lane * ((2 * range) / (2 ** quantiser.bits - 1)) - reports * range
  return Math.fround((task.strategy.rateMicro / 1e6) * (summed * (quantiser.weightMax / weight)))
}
