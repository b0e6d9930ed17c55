import type { z } from 'zod'
import { integerQuantiserFor } from '#aggregation/quantise.ts'
import { say as saySecure } from '#aggregation/secagg/messages.ts'
import { encodeTallies, payloadOf } from '#aggregation/statistics/lanes.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { encode } from '#protocol/codec.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { manifestTypes, type RoundRecord, type RunManifest, seatListSchema } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import type { Sealed, SealedType } from '#protocol/sealed.ts'
import { askSeed, demoSecret } from '#protocol/seeds.ts'
import { cohortOf } from '#test/cohort.ts'
import { question, table, tallies } from '#test/statistics/given.ts'
import { recordDraw } from './draws.ts'
import { keepSession, playSession, type Stage } from './masked.ts'
import { RUN } from './prepared.ts'
import { Store } from './store.ts'

/** What one thing is said otherwise. */
export type AskHooks = {
  readonly plan?: (plan: Plan) => Partial<Plan>
  readonly manifest?: (manifest: RoundRecord) => Partial<RoundRecord>
  readonly run?: (run: RunManifest) => Partial<RunManifest>
  readonly input?: (lanes: Uint32Array, site: number) => Uint32Array
}

export const ASKED: Question = question([
  { kind: 'count', column: null },
  { kind: 'categories', column: 'sex', levels: [0, 1] },
])
const TABLES = [
  [0, 1, 1],
  [0, 0, 1, 7],
  [1, 1, 1],
  [0, 1],
].map((sex) => table({ sex }))

/** A whole run about one question, by the members' real code. @param asked what is in the record, if not that */
export async function recordAsk(hooks: AskHooks = {}, asked: Question = ASKED) {
  const store = new Store()
  const [coordinator, ...rest] = Array.from({ length: 5 }, (_, place) =>
    signerOf(demoSecret(new Uint8Array(32), place)),
  )
  const members = rest.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  if (!coordinator) throw new Error('somebody coordinates')
  const seal = <T extends SealedType>(type: T, value: Sealed<T>): Promise<Cid> =>
    store.sealed(coordinator.sign(type, encode(manifestTypes[type] as z.ZodType, value)))
  const task = await store.block(questionSchema, asked)
  const quantiser = integerQuantiserFor(members.length)
  const secure = { suite: 1, corrupt: 1, publish: 'full' } as const
  const honest: Plan = {
    ...{ v: 1, run: RUN, round: 1, purpose: 'ask', population: 'open', masking: 'secagg/1', secure, task, model: task },
    ...{
      parent: null,
      endings: null,
      cohortSeed: askSeed(),
      cohort: cohortOf({ min: 3, max: 4, quorum: 3 }),
      quantiser,
    },
    timing: {
      ...{
        selectionMillis: 1,
        keysMillis: 1,
        reportingMillis: 1,
        stragglerMillis: null,
        consistencyMillis: 1,
        unmaskingMillis: 1,
      },
      ...{ aggregationMillis: 1, settlementMillis: 1 },
    },
  }
  const plan = { ...honest, ...hooks.plan?.(honest) }
  const planCid = await seal('plan', plan)
  const inputs = tallies(ASKED, TABLES).map((tally, site) => {
    const lanes = encodeTallies(ASKED, tally, quantiser)
    return hooks.input?.(lanes, site) ?? lanes
  })
  const stage: Stage = { store, run: RUN, coordinator, members, task, secure }
  const act = { round: 1, plan: honest, planCid, parameters: payloadOf(ASKED, quantiser).parameters, inputs }
  const { record, hidden } = await playSession(stage, act, {})
  const sum = inputs.reduce((before, lanes) => before.map((lane, index) => lane + (lanes[index] as number)))
  const aggregate = await store.file(sum)
  const about = { sumCid: aggregate, sumSha256: sha256(encodeLanes(sum)), model: task, verifier: 'secagg/1' }
  const result = saySecure(coordinator, 'Result', { ...record.result.body, ...about })
  const session = await keepSession(stage, { ...record, result }, hidden, (lists) => lists)
  const closed: RoundRecord = {
    ...{ v: 1, run: RUN, round: 1, purpose: 'ask', parent: null, plan: planCid, session, aggregate, model: task },
    selection: await recordDraw(store, { seed: plan.cohortSeed, nodes: members.map(({ id }) => id) }),
    seats: members.map(({ id }, seat) => ({ node: id, update: record.inputs[seat]?.cid ?? null, reason: null })),
    ...{ memory: await store.file(new Uint32Array(0)), evaluation: { rows: 0, correct: 0, lossQ16: 0 } },
  }
  const { seats, ...told } = { ...closed, ...hooks.manifest?.(closed) }
  const manifest = await seal('round', { ...told, seats: await store.block(seatListSchema, seats) })
  const ended: RunManifest = {
    ...{ v: 1, run: RUN, coordinator: coordinator.id, population: 'open', masking: 'secagg/1', task, planned: 1 },
    rounds: [{ round: 1, manifest, receipts: null, aborted: null }],
    ...{ outcome: 'completed', reason: null, model: task, evaluation: null, budget: 0n, paid: 0n, released: 0n },
  }
  const root = await seal('run', { ...ended, ...hooks.run?.(ended) })
  return { root, blocks: store.blocks, coordinator: coordinator.id }
}
