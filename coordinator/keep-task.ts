import { genesisWeights } from '#aggregation/genesis.ts'
import { strategyOf } from '#aggregation/strategies/strategy.ts'
import { decodeWeights, encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { type Shape, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, fromHex } from '#protocol/bytes.ts'
import { featuresOf } from '#protocol/features.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { mistakeInMetrics } from '#protocol/metrics.ts'
import { type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type DataContract, outputsOf, predictedOf, taskSchema } from '#protocol/task.ts'
import type { CreateRun } from './create.ts'
import { blockOf, fileOf } from './record.ts'
import type { RunSpec } from './run-spec.ts'

/** A task as a request brings it, whole. */
export type TaskOrder = CreateRun['task']
/** Of a fork: the round, and the model that it made. */
export type Origin = NonNullable<RunSpec['origin']> & { readonly model: Cid }
/** Where in the request the mistake is (a JSON pointer) and how to mend it. */
export type CreateRefusal = { readonly pointer: string; readonly message: string }
/** What a run has of its task. */
export type KeptTask = {
  readonly task: Cid
  readonly taskSeed: Bytes
  /** The model that training starts from. */
  readonly genesis: Cid
  /** That of its strategy, before the first round. */
  readonly memory: Cid
}
/** A task in which there is no mistake that can be seen without its files. */
export type CheckedTask = { readonly order: TaskOrder; readonly shape: Shape }
type Kept<T> =
  | { readonly ok: true; readonly value: T }
  | (ReturnType<typeof refuse> & { readonly where: CreateRefusal })

export function checkTask(order: TaskOrder): Kept<CheckedTask> {
  const shape = shapeOf(order.architecture)
  if (!shape.ok) return refused('/architecture', `${shape.refusal}: ${shape.detail ?? ''}`)
  const mistake = mistakeIn(order, shape.value)
  return mistake ? refused(mistake.pointer, mistake.message) : accept({ order, shape: shape.value })
}

/**
 * Keeps a task with its architecture and its genesis model, for a run or for none: the same task always makes the same
 * blocks, and one that names what is not here makes none.
 *
 * @param origin where its weights are those of a round of another run
 */
export async function keepTask(
  blobs: BlobStore,
  { order: task, shape }: CheckedTask,
  origin?: Origin,
): Promise<Kept<KeptTask>> {
  const missing = await missingFile(blobs, task.publicData)
  if (missing) return refused(missing.pointer, missing.message)
  const taskSeed = fromHex(task.seed)
  const architecture = blockOf(architectureSchema, task.architecture)
  const noMemory = new Float32Array(strategyOf(task.strategy).memoryLength(shape.trained))
  const weights = task.weights
    ? await givenWeights(blobs, task.weights, shape.parameters)
    : accept(await fileOf(blobs, encodeWeights(genesisWeights(task.architecture, taskSeed))))
  if (!weights.ok) return refused('/weights', weights.detail ?? weights.refusal)
  const memory = await fileOf(blobs, encodeWeights(noMemory))
  const genesis = blockOf(modelSchema, modelManifestOf(architecture.cid, shape.tensors, weights.value.cid))
  if (origin && origin.model !== genesis.cid)
    return refused('/architecture', `is not that of round ${origin.round} of ${origin.run}`)
  const { seed: _seed, architecture: _layers, weights: given, publicData, ...rest } = task
  const made = {
    v: 1,
    ...rest,
    ...(publicData && { publicData }),
    ...(given && ({ start: 'given' } as const)),
    seed: taskSeed,
    architecture: architecture.cid,
    genesis: genesis.cid,
  } as const
  const block = blockOf(taskSchema, made)
  await blobs.putBlocks([...weights.value.blocks, ...memory.blocks, architecture, genesis, block])
  return accept({ task: block.cid, taskSeed, genesis: genesis.cid, memory: memory.cid })
}

function refused(pointer: string, message: string): Extract<Kept<never>, { ok: false }> {
  return { ...refuse('invalid_request', message), where: { pointer, message } }
}

function mistakeIn(task: TaskOrder, shape: Shape): CreateRefusal | undefined {
  const features = featuresOf(task.data).join(', ')
  if (task.architecture.input.join(', ') !== features)
    return { pointer: '/architecture/input', message: `must be [${features}], what the data contract yields` }
  const outputs = outputsOf(task.loss, task.data)
  if (!outputs.ok) return { pointer: '/loss', message: outputs.detail ?? outputs.refusal }
  if (shape.output.join() !== String(outputs.value))
    return { pointer: '/architecture/layers', message: `must end in ${outputs.value} values for ${task.loss}` }
  if (task.movingRangeMicro !== undefined && shape.moving === 0)
    return { pointer: '/movingRangeMicro', message: 'the model has no moving statistics' }
  const kept = task.publicData && mistakeInPublicData(task.publicData, task.data)
  if (kept) return kept
  const unfit = task.metrics && mistakeInMetrics(task.metrics, predictedOf(task))
  return unfit ? { pointer: '/metrics', message: unfit } : undefined
}

type PublicData = NonNullable<TaskOrder['publicData']>

function mistakeInPublicData({ kind }: PublicData, data: DataContract): CreateRefusal | undefined {
  if (data.kind === 'joint')
    return { pointer: '/publicData', message: 'must be left out: public data are a table or images, not both' }
  const wanted = data.kind === 'image' ? 'idx' : 'csv'
  if (kind === wanted) return undefined
  return { pointer: '/publicData/kind', message: `must be ${wanted}, as the data contract has it` }
}

/** A task that names what nobody can read would have every node give up its seat. */
async function missingFile(blobs: BlobStore, publicData?: PublicData): Promise<CreateRefusal | undefined> {
  const { kind: _kind, ...files } = publicData ?? {}
  for (const [field, cid] of Object.entries(files))
    if (!(await blobs.has(cid)))
      return { pointer: `/publicData/${field}`, message: 'is not here: put the file by POST /v1/files first' }
  return undefined
}

/** A file that was brought before: whole, as long as the architecture says, and finite. */
async function givenWeights(blobs: BlobStore, cid: Cid, parameters: number): Promise<Result<KeptFile>> {
  if (!(await blobs.has(cid))) return refuse('missing', 'is not here: put the file by POST /v1/files first')
  try {
    const bytes = await collect(blobs.get(cid, { limitBytes: parameters * 4 }), parameters * 4)
    const weights = decodeWeights(bytes, parameters)
    return weights.ok ? accept({ cid, blocks: [] }) : refuse(weights.refusal, `is ${weights.detail ?? ''}`)
  } catch (cause) {
    if (cause instanceof BlobTooLarge) return refuse('too-large', `is more than ${parameters} float32`)
    throw cause
  }
}

type KeptFile = Awaited<ReturnType<typeof fileOf>>
