import type { z } from 'zod'
import { genesisWeights } from '#aggregation/genesis.ts'
import { MEMBERS_MAX, MEMBERS_MIN } from '#aggregation/secagg/messages.ts'
import { defaultMaxCorrupt, secureRule } from '#aggregation/secagg/parameters.ts'
import { strategyOf } from '#aggregation/strategies/strategy.ts'
import { decodeWeights, encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, fromHex } from '#protocol/bytes.ts'
import { featuresOf } from '#protocol/features.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { ENDINGS_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { mistakeInMetrics } from '#protocol/metrics.ts'
import type { CohortRule, Secure } from '#protocol/plan.ts'
import { type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type DataContract, outputsOf, predictedOf, taskSchema } from '#protocol/task.ts'

import type { createRunSchema } from './api/schemas.ts'
import { blockOf, fileOf } from './record.ts'
import type { RunSpec } from './run-spec.ts'
import { mistakeInStopWhen, stopRuleOf } from './stopping-early.ts'
import type { Terms } from './timing.ts'

export type CreateRun = z.output<typeof createRunSchema>
/** Of a fork: the round, and the model that it made. */
export type Origin = NonNullable<RunSpec['origin']> & { readonly model: Cid }
/** Where in the request the mistake is (a JSON pointer) and how to mend it. */
export type CreateRefusal = { readonly pointer: string; readonly message: string }

/**
 * Checks what a request asks for, all of it, before anything is kept; then keeps the task with its architecture and its
 * genesis model. The same request always makes the same blocks.
 */
export async function createRun(
  blobs: BlobStore,
  id: RunId,
  request: CreateRun,
  idempotency: { readonly key: string; readonly body: Bytes } | null,
  /** Nodes that may be in its rounds; undefined when anybody may. */
  populationSize?: number,
  /** Where the task's weights are those of a round of another run. */
  origin?: Origin,
): Promise<Result<RunSpec> & { readonly where?: CreateRefusal }> {
  const masking = request.masking ?? (isMaskable(request.cohort) ? 'secagg/1' : 'none')
  const secure = masking === 'none' ? null : secureOf(request, Math.max(populationSize ?? 0, request.cohort.min))
  const cohort = cohortOf(request.cohort, secure)
  const mistake = mistakeIn({ ...request, masking, cohort }, secure)
  if (mistake) return { ...refuse('invalid_request', mistake.message), where: mistake }
  const { task, rounds, budget, population, federation = null, failuresMax, onFailures } = request
  const missing = await missingFile(blobs, task.publicData)
  if (missing) return { ...refuse('invalid_request', missing.message), where: missing }
  const taskSeed = fromHex(task.seed)
  const shape = shapeOf(task.architecture)
  if (!shape.ok) return refuse('invalid_request', shape.detail)
  if (task.movingRangeMicro !== undefined && shape.value.moving === 0) {
    const where = { pointer: '/task/movingRangeMicro', message: 'the model has no moving statistics' }
    return { ...refuse('invalid_request', where.message), where }
  }

  const architecture = blockOf(architectureSchema, task.architecture)
  const noMemory = new Float32Array(strategyOf(task.strategy).memoryLength(shape.value.trained))
  const weights = task.weights
    ? await givenWeights(blobs, task.weights, shape.value.parameters)
    : accept(await fileOf(blobs, encodeWeights(genesisWeights(task.architecture, taskSeed))))
  if (!weights.ok) {
    const where = { pointer: '/task/weights', message: weights.detail ?? weights.refusal }
    return { ...refuse('invalid_request', where.message), where }
  }
  const memory = await fileOf(blobs, encodeWeights(noMemory))
  const genesis = blockOf(modelSchema, modelManifestOf(architecture.cid, shape.value.tensors, weights.value.cid))
  if (origin && origin.model !== genesis.cid) {
    const where = { pointer: '/task/architecture', message: `is not that of round ${origin.round} of ${origin.run}` }
    return { ...refuse('invalid_request', where.message), where }
  }
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
  const taskBlock = blockOf(taskSchema, made)
  await blobs.putBlocks([...weights.value.blocks, ...memory.blocks, architecture, genesis, taskBlock])
  return accept({
    run: id,
    purpose: 'train',
    task: taskBlock.cid,
    taskSeed,
    genesis: genesis.cid,
    memory: memory.cid,
    planned: rounds,
    budget: BigInt(budget),
    population,
    federation,
    masking,
    secure,
    cohort,
    timing: termsOf(request.timing),
    failuresMax,
    onFailures,
    ...(request.stopWhen && { stopWhen: stopRuleOf(request.stopWhen) }),
    ...(origin && { origin: { run: origin.run, round: origin.round, manifest: origin.manifest } }),
    idempotency,
  })
}

/** A task that names what nobody can read would have every node give up its seat. */
async function missingFile(
  blobs: BlobStore,
  publicData: CreateRun['task']['publicData'],
): Promise<CreateRefusal | undefined> {
  const { kind: _kind, ...files } = publicData ?? {}
  for (const [field, cid] of Object.entries(files))
    if (!(await blobs.has(cid)))
      return { pointer: `/task/publicData/${field}`, message: 'is not here: put the file by POST /v1/files first' }
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

function isMaskable({ min, max }: CreateRun['cohort']): boolean {
  return min >= MEMBERS_MIN && max <= MEMBERS_MAX
}

/** One operator's nodes are as many corrupt members as they are: masks bear C. Elsewhere nobody should have a majority. */
export function cohortOf(cohort: CreateRun['cohort'], secure: Secure | null): CohortRule {
  const half = Math.max(1, Math.floor(cohort.max / 2))
  const usual = secure ? Math.min(half, secure.corrupt) : half
  return { ...cohort, operatorSeatsMax: cohort.operatorSeatsMax ?? usual }
}

/** Whoever is still training when the quorum is in has a quarter of the phase: a run is then held up by that much, and not for ever. */
export function termsOf(timing: CreateRun['timing']): Terms {
  const { stragglerMillis = Math.ceil(timing.reportingMillis / 4) } = timing
  return { ...timing, stragglerMillis }
}

export function secureOf(
  { secure, population }: Pick<CreateRun, 'secure' | 'population'>,
  populationSize: number,
): Secure {
  const { suite, corrupt, publish } = secure
  return {
    suite,
    corrupt: corrupt ?? defaultMaxCorrupt(populationSize),
    publish: publish ?? (population === 'hospital' ? 'commit-only' : 'full'),
  }
}

type Ordered = Omit<CreateRun, 'cohort'> & { readonly cohort: CohortRule }

function mistakeIn(request: Ordered, secure: Secure | null): CreateRefusal | undefined {
  const { task, cohort, population, masking, failuresMax } = request
  const shape = shapeOf(task.architecture)
  if (!shape.ok) return { pointer: '/task/architecture', message: `${shape.refusal}: ${shape.detail ?? ''}` }
  const features = featuresOf(task.data).join(', ')
  if (task.architecture.input.join(', ') !== features)
    return { pointer: '/task/architecture/input', message: `must be [${features}], what the data contract yields` }
  const outputs = outputsOf(task.loss, task.data)
  if (!outputs.ok) return { pointer: '/task/loss', message: outputs.detail ?? outputs.refusal }
  if (shape.value.output.join() !== String(outputs.value))
    return { pointer: '/task/architecture/layers', message: `must end in ${outputs.value} values for ${task.loss}` }
  const kept = task.publicData && mistakeInPublicData(task.publicData, task.data)
  if (kept) return kept
  const unfit = task.metrics && mistakeInMetrics(task.metrics, predictedOf(task))
  if (unfit) return { pointer: '/task/metrics', message: unfit }
  const unmet = request.stopWhen && mistakeInStopWhen(stopRuleOf(request.stopWhen), task)
  if (unmet) return { pointer: '/stopWhen', message: unmet }
  const rule = mistakeInCohort(cohort)
  if (rule) return rule
  if (masking === 'none' && cohort.max * task.data.rowsMax >= 2 ** 32)
    return { pointer: '/task/data/rowsMax', message: 'times cohort.max must stay below 2^32, or the weights overflow' }
  if (population === 'hospital' && masking === 'none')
    return { pointer: '/masking', message: 'hospital populations train masked only: secagg/1, with 3 to 128 seats' }
  return secure ? mistakeInSession(cohort, secure, failuresMax) : undefined
}

type PublicData = NonNullable<CreateRun['task']['publicData']>

function mistakeInPublicData({ kind }: PublicData, data: DataContract): CreateRefusal | undefined {
  if (data.kind === 'joint')
    return { pointer: '/task/publicData', message: 'must be left out: public data are a table or images, not both' }
  const wanted = data.kind === 'image' ? 'idx' : 'csv'
  if (kind === wanted) return undefined
  return { pointer: '/task/publicData/kind', message: `must be ${wanted}, as the data contract has it` }
}

export function mistakeInCohort({ quorum, min, max }: CohortRule): CreateRefusal | undefined {
  if (quorum > min) return { pointer: '/cohort/quorum', message: 'must be at most cohort.min' }
  if (min > max) return { pointer: '/cohort/min', message: 'must be at most cohort.max' }
  return undefined
}

export function mistakeInSession(
  cohort: CohortRule,
  { corrupt }: Secure,
  failuresMax: number,
): CreateRefusal | undefined {
  if (cohort.operatorSeatsMax > corrupt)
    return {
      pointer: '/cohort/operatorSeatsMax',
      message: `must be at most secure.corrupt, ${corrupt}: masks bear no more nodes in one hand`,
    }
  if (cohort.min < MEMBERS_MIN)
    return { pointer: '/cohort/min', message: `must be at least ${MEMBERS_MIN} under masks` }
  if (cohort.max > MEMBERS_MAX) return { pointer: '/cohort/max', message: `must be at most ${MEMBERS_MAX} under masks` }
  const rule = secureRule(cohort.min, { maxCorrupt: corrupt })
  if (!rule.ok)
    return {
      pointer: '/cohort/min',
      message: `is too few against ${corrupt} corrupt nodes: ${rule.detail ?? rule.refusal}`,
    }
  if (failuresMax > ENDINGS_MAX)
    return { pointer: '/failuresMax', message: `must be at most ${ENDINGS_MAX} under masks` }
  return undefined
}
