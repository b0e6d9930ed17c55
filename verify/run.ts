import { genesisWeights } from '#aggregation/genesis.ts'
import { scoringOf } from '#aggregation/metrics/scoring.ts'
import type { Payload } from '#aggregation/vector.ts'
import { decodeWeights, encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { totalOf, tranchesOf } from '#payments/allocate.ts'
import { hold, openLedger, pay, post, release, totalsOf } from '#payments/ledger.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { type Evaluation, evaluationSchema, modelSchema, type RunManifest } from '#protocol/manifest.ts'
import type { Payout } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Tensor } from '#protocol/shapes.ts'
import { isQuestion, type Subject, subjectSchema } from '#protocol/subject.ts'
import type { Task } from '#protocol/task.ts'
import { importFile, NotAFile } from '#protocol/unixfs.ts'
import { type AskedFor, checkAsked } from './asked.ts'
import type { Blocks } from './blocks.ts'
import type { Course } from './course.ts'
import { asStep, type Step } from './verdict.ts'

/** What the caller knows from elsewhere. */
export type Pins = {
  readonly coordinator?: NodeId
  /** Which run it has to be of, or which round of one. */
  readonly asked?: AskedFor | undefined
  /** The run manifest's (the bundle's root) or the final model's. */
  readonly expect?: Cid
}

/**
 * What the rounds of a run have in common: from its manifest, or, for a node in the middle of it, from the plan that it was
 * given: there is no manifest then.
 */
export type Terms = Pick<RunManifest, 'run' | 'coordinator' | 'population' | 'masking' | 'task'>

/** What every round of a run shares: a task to learn, or a question to answer. */
export type Order<T extends Terms = Terms> = Training<T> | Asking<T>
type Asking<T extends Terms = Terms> = { readonly kind: 'asking'; readonly run: T; readonly question: Question }
export type Training<T extends Terms = Terms> = {
  readonly kind: 'training'
  readonly run: T
  readonly task: Task
  readonly architecture: Architecture
  readonly tensors: readonly Tensor[]
  readonly parameters: number
  /** Of an update: the weights that it moves, and the task's scores. */
  readonly payload: Payload
}

export function subjectOf(order: Order): Subject {
  return order.kind === 'asking' ? order.question : order.task
}

/** Steps `run-manifest`, `coordinator`, `run` and `expect`. */
export async function checkRun(blocks: Blocks, root: Cid, pins: Pins): Promise<Result<RunManifest, Step>> {
  const signed = asStep('run-manifest', 'the root', await blocks.signed(root, 'run'))
  if (!signed.ok) return signed
  const { from, value: run } = signed.value
  if (run.coordinator !== from) return refuse('run-manifest', `names ${run.coordinator}, signed by ${from}`)
  if (run.reason === null ? run.outcome !== 'completed' : run.outcome === 'completed' && !run.stopWhen)
    return refuse('run-manifest', 'a run is completed or has a reason why not')
  for (const [index, { round, manifest, aborted }] of run.rounds.entries()) {
    if (round !== index + 1) return refuse('run-manifest', `round ${round} is in place ${index + 1}`)
    if ((manifest === null) === (aborted === null))
      return refuse('run-manifest', `round ${round} is either closed or aborted, and has one record`)
  }
  if (pins.coordinator !== undefined && pins.coordinator !== from)
    return refuse('coordinator', `signed by ${from}, not by ${pins.coordinator}`)
  const asked = checkAsked(pins.asked, { run: run.run })
  if (!asked.ok) return asked
  if (pins.expect !== undefined && pins.expect !== root && pins.expect !== run.model)
    return refuse('expect', `${pins.expect} is neither the run, ${root}, nor its model, ${run.model}`)
  return accept(run)
}

/** Step `task`. */
export async function checkTask<T extends Terms>(blocks: Blocks, run: T): Promise<Result<Order<T>, Step>> {
  const subject = asStep('task', 'the task', await blocks.read(run.task, subjectSchema))
  if (!subject.ok) return subject
  if (isQuestion(subject.value)) return accept({ kind: 'asking', run, question: subject.value })
  const task = subject.value
  const { architecture: cid } = task
  const architecture = asStep('task', 'the architecture', await blocks.read(cid, architectureSchema))
  if (!architecture.ok) return architecture
  const shape = asStep('task', 'the architecture', shapeOf(architecture.value))
  if (!shape.ok) return shape
  const { tensors, parameters, trained, moving } = shape.value
  const payload = { parameters: trained, moving, scores: scoringOf(task) }
  return accept({ kind: 'training', run, task, architecture: architecture.value, tensors, parameters, payload })
}

/** What the kind of run allows: a question is asked under masks, for no pay; and nothing goes on for longer than it was ordered. */
export function checkShape({ kind, run }: Order<RunManifest>): Result<undefined, Step> {
  const { masking, planned, budget, extensions, stopWhen, origin } = run
  const isPlain = masking === 'none' || planned !== 1 || budget !== 0n || extensions || stopWhen || origin
  if (kind === 'asking' && isPlain)
    return refuse('task', 'a question is asked until it is answered, under masks and for no pay')
  // Each extension may have come while a round evaluated: then another one does later.
  const closings = kind === 'asking' ? 1 : totalOf(run).rounds + 1 + (extensions?.length ?? 0)
  const before = run.rounds.slice(0, -1).filter(({ manifest }) => manifest !== null)
  return before.length >= closings ? refuse('run-manifest', 'it went on after it was done') : accept(undefined)
}

/** Step `genesis`. @returns the weights of the first model, whose CID is the task's genesis */
export async function checkGenesis(blocks: Blocks, order: Training): Promise<Result<Float32Array, Step>> {
  const { task, architecture } = order
  const weights = task.start ? await givenWeights(blocks, order) : accept(genesisWeights(architecture, task.seed))
  if (!weights.ok) return weights
  const model = await modelCidOf(order, weights.value)
  if (model === task.genesis) return weights
  const whose = task.start ? 'the given weights' : 'architecture and seed'
  return refuse('genesis', `${whose} give ${model}, the task starts from ${task.genesis}`)
}

/** Those that the task's author brought: as many as the architecture has, and finite. */
async function givenWeights(blocks: Blocks, { task, parameters }: Training): Promise<Result<Float32Array, Step>> {
  const model = asStep('genesis', 'the model', await blocks.read(task.genesis, modelSchema))
  if (!model.ok) return model
  return asStep('genesis', 'its weights', await readFloats(blocks, model.value.weights, parameters))
}

/** A file of so many float32. */
export async function readFloats(blocks: Blocks, cid: Cid, length: number): Promise<Result<Float32Array>> {
  try {
    return decodeWeights(await collect(blocks.file(cid, length * 4), length * 4), length)
  } catch (cause) {
    if (cause instanceof NotAFile) return refuse('not-a-file', cause.message)
    throw cause
  }
}

/** Step `ledger`: the run's own sums and its last line. */
export function checkLedger(
  order: Order<RunManifest>,
  end: {
    readonly model: Cid
    readonly course: Course
    readonly payouts: readonly (readonly Payout[])[]
  },
): Result<undefined, Step> {
  const { run } = order
  const ledger = openLedger()
  const tranches = tranchesOf(run)
  const transfers = [
    ...tranches.map(({ budget }, index) => hold(`hold-${index}`, run.run, budget)),
    ...end.payouts.map((payouts, index) => pay(`round-${index + 1}`, run.run, payouts)),
    release('release', run.run, run.released),
  ]
  for (const transfer of transfers) {
    const posted = asStep('ledger', `of ${totalOf(run).budget}`, post(ledger, transfer))
    if (!posted.ok) return posted
  }
  const { held, paid, released } = totalsOf(ledger, run.run)
  if (paid !== run.paid) return refuse('ledger', `receipts sum to ${paid}, the run says that it paid ${run.paid}`)
  if (paid + released !== held) return refuse('ledger', `paid ${paid} and released ${released}, of ${held}`)
  const ended = checkOutcome(order, end.course)
  if (!ended.ok) return ended
  if (run.model !== end.model) return refuse('ledger', `the rounds end at ${end.model}, the run at ${run.model}`)
  if (!isSameEvaluation(run.evaluation, end.course.evaluation))
    return refuse('ledger', 'the final figures are not those of the evaluate round')
  return accept(undefined)
}

/** A run ends when it is done; before, because its owner stopped it, or as a failure after rounds that came to nothing. */
function checkOutcome({ run }: Order<RunManifest>, course: Course): Result<undefined, Step> {
  const { outcome, reason, rounds } = run
  if ((outcome === 'completed') !== course.isDone)
    return refuse(
      'ledger',
      `${outcome}, and ${course.isDone ? 'it was done' : `${course.trained} rounds have trained`}`,
    )
  if (outcome === 'completed' && reason !== course.reason)
    return refuse('ledger', `completed: ${reason ?? 'as it was planned'}, its rounds say ${course.reason}`)
  const mayFail = rounds.length >= ROUNDS_MAX || rounds.at(-1)?.manifest === null
  return outcome === 'failed' && !mayFail ? refuse('ledger', 'failed though its last round closed') : accept(undefined)
}

export function isSameEvaluation(a: Evaluation | null, b: Evaluation | null): boolean {
  if (!a || !b) return a === b
  return equalBytes(encode(evaluationSchema, a), encode(evaluationSchema, b))
}

/** The CID of a file, as anyone who adds it gets it. */
export function fileCidOf(bytes: Bytes): Promise<Cid> {
  return importFile(once(bytes), async () => undefined)
}

/** The CID of the model with these weights. */
export async function modelCidOf({ task, tensors }: Training, weights: Float32Array): Promise<Cid> {
  const manifest = modelManifestOf(task.architecture, tensors, await fileCidOf(encodeWeights(weights)))
  return cidOf(DAG_CBOR, encode(modelSchema, manifest))
}
