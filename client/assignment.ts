import { z } from 'zod'
import { genesisWeights } from '#aggregation/genesis.ts'
import { scoringOf } from '#aggregation/metrics/scoring.ts'
import { checkNeeds } from '#aggregation/needs.ts'
import { quantiserOf } from '#aggregation/quantise.ts'
import { payloadOf as payloadOfAnswers } from '#aggregation/statistics/lanes.ts'
import { type Payload, payloadIn } from '#aggregation/vector.ts'
import { decodeWeights } from '#aggregation/weights.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect } from '#protocol/bytes.ts'
import { cidField, count, decode, runIdField } from '#protocol/codec.ts'
import { unseal } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { type ModelManifest, modelSchema } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { readSealed } from '#protocol/sealed.ts'
import { type Task, taskSchema } from '#protocol/task.ts'
import { type Asking, type AskingRefusal, readAsking } from './asking.ts'

/** A plan with everything it names, read and checked: what a node is asked to do. */
export type Assignment = Training | Asking
export type Training = {
  readonly kind: 'training'
  readonly plan: Plan
  readonly task: Task
  readonly architecture: Architecture
  readonly model: IncomingModel
}

/** Where a plan's blocks are read. */
export type Readable = Pick<BlobStore, 'get' | 'getBlock'>

/** What training starts from. */
export type IncomingModel = {
  readonly parameters: number
  /** Those that an update moves: the first. */
  readonly trained: number
  /** Moving statistics among those: the last of them. */
  readonly moving: number
  /** Its weights, fetched when they are asked for: a slow line may take longer for a large model than selection lasts. */
  read(signal?: AbortSignal): Promise<Result<Float32Array, 'unreadable-model' | 'wrong-genesis'>>
}

export type AssignmentRefusal =
  | 'unreadable-plan'
  | 'foreign-plan'
  | 'unreadable-task'
  | 'unreadable-model'
  | 'wrong-model'
  | 'wrong-genesis'
  | 'wrong-quantiser'
  | 'foreign-parent'
  | 'task-too-large'
  | AskingRefusal

/**
 * Follows a plan to its model. The coordinator signed the plan; the model must be the one that its last signed round
 * manifest made, or, before there is one, the genesis: what anyone can compute from the task's seed, or weights that the
 * task's author brought. Its weights are read when somebody asks for them.
 *
 * @param memoryBytesMax a task that takes more is refused before its weights are fetched
 * @param expect hears which weights are read next
 */
export async function readAssignment(
  blobs: Readable,
  coordinator: NodeId,
  cid: Cid,
  memoryBytesMax = Number.POSITIVE_INFINITY,
  expect?: (model: ModelManifest) => void,
): Promise<Result<Assignment, AssignmentRefusal>> {
  const plan = await readPlan(blobs, coordinator, cid)
  if (!plan.ok) return refuse('unreadable-plan', plan.detail ?? plan.refusal)
  const { task: taskCid, model, parent, quantiser, masking, secure } = plan.value
  if ((secure === null) !== (masking === 'none'))
    return refuse('unreadable-plan', 'it says how the session is held exactly where it is masked')
  if (plan.value.purpose === 'ask') return readAsking(blobs, plan.value)
  const block = (at: Cid) => blobs.getBlock(at, BLOCK_BYTES_MAX)
  const [taskBlock, modelBlock, before] = await Promise.all([
    block(taskCid),
    block(model),
    parent && readLineage(blobs, coordinator, parent),
  ])
  const task = decode(taskSchema, taskBlock, BLOCK_BYTES_MAX)
  if (!task.ok) return refuse('unreadable-task', task.detail ?? task.refusal)
  const { architecture: architectureCid, seed, genesis } = task.value
  const due = quantiserOf(task.value, plan.value)
  if (JSON.stringify(due) !== JSON.stringify(quantiser)) return refuse('wrong-quantiser')

  const architecture = decode(architectureSchema, await block(architectureCid), BLOCK_BYTES_MAX)
  if (!architecture.ok) return refuse('unreadable-task', 'its architecture cannot be read')
  const shape = shapeOf(architecture.value)
  if (!shape.ok) return refuse('unreadable-task', shape.detail ?? shape.refusal)
  const fits = checkNeeds(architecture.value, task.value, memoryBytesMax)
  if (!fits.ok) return fits
  const manifest = decode(modelSchema, modelBlock, BLOCK_BYTES_MAX)
  if (!manifest.ok) return refuse('unreadable-model', manifest.detail ?? manifest.refusal)
  if (manifest.value.architecture !== architectureCid) return refuse('wrong-model', 'of another architecture')
  if (before === null) {
    if (model !== genesis) return refuse('wrong-model', 'the first round starts from the genesis')
  } else {
    if (!before.ok) return refuse('foreign-parent', before.detail ?? before.refusal)
    if (before.value.run !== plan.value.run || before.value.round >= plan.value.round) return refuse('foreign-parent')
    if (before.value.model !== model) return refuse('wrong-model', 'its parent round made another one')
  }
  const { parameters, trained, moving } = shape.value
  const isSeeded = before === null && task.value.start === undefined
  const expected = isSeeded ? () => genesisWeights(architecture.value, seed) : undefined
  const read: IncomingModel['read'] = async (signal) => {
    expect?.(manifest.value)
    const weights = decodeWeights(await weightsOf(blobs, manifest.value, parameters, signal), parameters)
    if (!weights.ok) return refuse('unreadable-model', weights.refusal)
    return !expected || sameFloats(weights.value, expected()) ? weights : refuse('wrong-genesis')
  }
  return accept({
    ...{ kind: 'training', plan: plan.value, task: task.value, architecture: architecture.value },
    model: { parameters, trained, moving, read },
  })
}

const FLOAT_BYTES = 4

/** Reads weights of one block here and now, so that a model that is none costs nobody a seat. */
export async function withSmallModel(assignment: Assignment): Promise<Result<Assignment, AssignmentRefusal>> {
  if (assignment.kind === 'asking' || assignment.model.parameters * FLOAT_BYTES > BLOCK_BYTES_MAX)
    return accept(assignment)
  const weights = await assignment.model.read()
  return weights.ok ? accept({ ...assignment, model: { ...assignment.model, read: async () => weights } }) : weights
}

/** What the vector that is asked for carries. */
export function payloadOf(assignment: Assignment): Payload {
  if (assignment.kind === 'asking') return payloadOfAnswers(assignment.question, assignment.plan.quantiser)
  const { plan, task, model } = assignment
  return payloadIn(plan.purpose, { parameters: model.trained, moving: model.moving, scores: scoringOf(task) })
}

/** A sealed plan that the pinned coordinator signed. */
async function readPlan(blobs: Readable, coordinator: NodeId, cid: Cid): Promise<Result<Plan>> {
  const read = await readSealed(cid, 'plan', (at) => blobs.getBlock(at, BLOCK_BYTES_MAX))
  if (!read.ok) return read
  return read.value.from === coordinator ? accept(read.value.value) : refuse('foreign-signature')
}

/** What a node asks of its model's parent. All else in it, a masked round's session above all, is for the verifier. */
const lineageSchema = z.looseObject({ run: runIdField, round: count(ROUNDS_MAX, 1), model: cidField })

async function readLineage(
  blobs: Readable,
  coordinator: NodeId,
  cid: Cid,
): Promise<Result<z.output<typeof lineageSchema>>> {
  const block = (at: Cid) => blobs.getBlock(at, BLOCK_BYTES_MAX)
  const signed = await unseal(await block(cid), block)
  if (!signed.ok) return signed
  if (signed.value.type !== 'round') return refuse('wrong-type', `${cid} is a ${signed.value.type}, not a round`)
  if (signed.value.from !== coordinator) return refuse('foreign-signature')
  return decode(lineageSchema, signed.value.body, BLOCK_BYTES_MAX)
}

function weightsOf(
  blobs: Readable,
  manifest: ModelManifest,
  parameters: number,
  signal: AbortSignal | undefined,
): Promise<Bytes> {
  const limitBytes = parameters * FLOAT_BYTES
  return collect(blobs.get(manifest.weights, { limitBytes }, signal), limitBytes)
}

function sameFloats(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, index) => Object.is(value, b[index]))
}
