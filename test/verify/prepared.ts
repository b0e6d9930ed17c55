import type { z } from 'zod'
import { genesisWeights } from '#aggregation/genesis.ts'
import { scoreLanesOf, scoringOf } from '#aggregation/metrics/scoring.ts'
import type { Said } from '#aggregation/secagg/messages.ts'
import type { SessionRecord } from '#aggregation/secagg/verification.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { assert } from '#protocol/assert.ts'
import { encode } from '#protocol/codec.ts'
import { type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Round, RunId } from '#protocol/ids.ts'
import { type Endings, manifestTypes, modelSchema } from '#protocol/manifest.ts'
import type { Sealed, SealedType } from '#protocol/sealed.ts'
import { demoSecret } from '#protocol/seeds.ts'
import { taskSchema } from '#protocol/task.ts'
import type { Kept } from './draws.ts'
import type { At, Shape } from './fixture.ts'
import { Store } from './store.ts'
import { TINY, tinyTask } from './tiny.ts'

export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId

/** Everything that the rounds share. */
export type Play = Awaited<ReturnType<typeof prepare>>
export type Standing = {
  readonly weights: Float32Array
  readonly model: Cid
  readonly parent: Cid | null
  /** Training rounds that have closed. */
  readonly trained: number
}

export async function prepare(shape: Shape) {
  const { hooks = {}, planned = 2, budget = 1_000_001n, architecture = TINY, seed = '1', secure = null } = shape
  const store = new Store()
  const secretOf = (place: number) => demoSecret(new Uint8Array(32).fill(seed.charCodeAt(0)), place)
  const nodes = Array.from({ length: shape.nodes ?? (secure ? 4 : 3) }, (_, index) => secretOf(index + 1))
    .map((secret) => ({ secret, signer: signerOf(secret) }))
    .toSorted((a, b) => (a.signer.id < b.signer.id ? -1 : 1))
  const inferred = shapeOf(architecture)
  assert(inferred.ok, 'the fixture has a sound architecture')
  const { parameters, moving } = inferred.value
  const tensors = inferred.value.tensors.map(({ name, shape, role }) => ({ name, shape, role }))
  const architectureCid = await store.block(architectureSchema, architecture)
  const modelOf = async (weights: Float32Array) =>
    store.block(modelSchema, { architecture: architectureCid, tensors, weights: await store.file(weights) })

  const taskSeed = new Uint8Array(32).fill(9)
  const weights = genesisWeights(architecture, taskSeed)
  const genesis = await modelOf(weights)
  const honest = tinyTask(taskSeed, architectureCid, genesis)
  const task = hooks.task?.(honest) ?? honest
  const taskCid = await store.block(taskSchema, task)
  const start: Standing = { weights, model: genesis, parent: null, trained: 0 }
  const coordinator = signerOf(secretOf(0))
  return {
    ...{ hooks, store, coordinator, nodes, planned, budget, parameters, moving, modelOf, task, taskCid, start, secure },
    /** What the task's metrics take of every vector. */
    scored: scoreLanesOf(scoringOf(task)),
    kept: new Map() as Kept,
    endings: [] as Endings[number][],
    abandons: [] as Said<'Abandon'>[],
    earlier: new Map<Round, SessionRecord>(),
    hidden: new Map<string, Bytes>(),
    secrets: [] as Bytes[],
  }
}

export async function say<T extends SealedType>(
  { hooks, store }: Play,
  signer: Signer,
  type: T,
  value: Sealed<T>,
  at: Partial<At>,
): Promise<Cid> {
  const signed = signer.sign(type, encode(manifestTypes[type] as z.ZodType, value))
  return store.sealed(hooks.signed?.(signed, at, signer) ?? signed)
}
