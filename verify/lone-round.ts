import type { Answer } from '#aggregation/statistics/answer.ts'
import { accuracyOf } from '#protocol/accuracy.ts'
import type { Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import type { AbortedManifest, RoundManifest } from '#protocol/manifest.ts'
import type { Masking, Population } from '#protocol/plan.ts'
import type { Question } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { checkAborted } from './aborted.ts'
import { checkAsked } from './asked.ts'
import type { Blocks } from './blocks.ts'
import { firstStanding, standingAfter } from './lineage.ts'
import { redoRound, type Standing } from './round.ts'
import { checkTask, modelCidOf, type Order, subjectOf } from './run.ts'
import { asStep, type Checked, type RoundProof, type Step } from './verdict.ts'
import type { VerifyOptions } from './verify.ts'

/**
 * What a verification of one round finds, closed or aborted, from its own record: all that a run's verification finds of it,
 * but for who was paid, which only the run's record tells.
 */
export type LoneProof = {
  readonly ok: true
  readonly pinned: boolean
  readonly root: Cid
  readonly run: RunId
  readonly coordinator: NodeId
  readonly population: Population
  readonly masking: Masking
  readonly task: { readonly cid: Cid; readonly name: string }
  /** Where it begins; nothing of what led there was looked at, unless it is the genesis. */
  readonly start: Start
  readonly round: Omit<RoundProof, 'paid'>
  /** Everyone whose update is in the sum, ascending. */
  readonly nodes: readonly NodeId[]
  readonly question: Question | null
  readonly answer: Answer | null
  readonly checked: Checked
}

/**
 * `genesis`: the model that architecture and seed give, as made here, or that the task's author brought; a question starts from nothing. `as-the-parent-says`:
 * the model and memory that this sealed manifest of an earlier round names. They were read and have the task's shape; that
 * the rounds before make them is what the coordinator signed.
 */
export type Start = { readonly model: Cid } & (
  | { readonly kind: 'genesis' }
  | { readonly kind: 'as-the-parent-says'; readonly parent: Cid; readonly round: Round }
)

type Root = { readonly from: NodeId } & (
  | { readonly type: 'round'; readonly value: RoundManifest }
  | { readonly type: 'aborted'; readonly value: AbortedManifest }
)

export async function proveRound(
  blocks: Blocks,
  root: Cid,
  options: VerifyOptions,
  enter: (round: Round) => void,
): Promise<Result<LoneProof, Step>> {
  const read = await readRoot(blocks, root)
  if (!read.ok) return read
  const { from, value: manifest } = read.value
  const { round } = manifest
  enter(round)
  const progress = (step: Step) => options.progress?.({ step, round })
  const { coordinator, expect } = options
  if (coordinator !== undefined && coordinator !== from)
    return refuse('coordinator', `signed by ${from}, not by ${coordinator}`)
  const asked = checkAsked(options.asked, manifest)
  if (!asked.ok) return asked
  const model = 'model' in manifest ? manifest.model : undefined
  if (expect !== undefined && expect !== root && expect !== model)
    return refuse('expect', `${expect} is neither the round, ${root}, nor its model, ${model ?? 'for it has none'}`)
  progress('task')
  const order = await readOrder(blocks, read.value)
  if (!order.ok) return order
  progress(manifest.parent === null ? 'genesis' : 'start')
  const begun = await begin(blocks, order.value, manifest)
  if (!begun.ok) return begun
  const { standing, start } = begun.value

  const redone = await redo(blocks, order.value, standing, { root, ...read.value }, { ...options, progress })
  if (!redone.ok) return redone
  const { run } = order.value
  return accept({
    ok: true,
    pinned: coordinator !== undefined || expect !== undefined,
    root,
    ...{ run: run.run, coordinator: from, population: run.population, masking: run.masking },
    task: { cid: run.task, name: subjectOf(order.value).name },
    start,
    ...redone.value,
    question: order.value.kind === 'asking' ? order.value.question : null,
    checked: blocks.checked,
  })
}

/** Step `round-manifest`, or `aborted`, as far as it is the root's alone. */
async function readRoot(blocks: Blocks, root: Cid): Promise<Result<Root, Step>> {
  if ((await blocks.kindOf(root)) === 'aborted') {
    const signed = asStep('aborted', 'the root', await blocks.signed(root, 'aborted'))
    return signed.ok ? accept({ type: 'aborted', ...signed.value }) : signed
  }
  const signed = asStep('round-manifest', 'the root', await blocks.signed(root, 'round'))
  return signed.ok ? accept({ type: 'round', ...signed.value }) : signed
}

/** Steps `plan`, as far as it says what the round is about, and `task`. */
async function readOrder(blocks: Blocks, { from, value }: Root): Promise<Result<Order, Step>> {
  const plan = asStep('plan', 'the plan', await blocks.signed(value.plan, 'plan', from))
  if (!plan.ok) return plan
  const { population, masking, task, secure } = plan.value.value
  const order = await checkTask(blocks, { run: value.run, coordinator: from, population, masking, task })
  if (order.ok && order.value.kind === 'asking' && secure === null)
    return refuse('task', 'a question is asked under masks')
  return order
}

/** Step `start`, or `genesis`. */
async function begin(
  blocks: Blocks,
  order: Order,
  { run, round, parent }: RoundManifest | AbortedManifest,
): Promise<Result<{ readonly standing: Standing; readonly start: Start }, Step>> {
  if (parent === null) {
    const first = await firstStanding(blocks, order)
    if (!first.ok) return first
    // What became of the seats of earlier rounds, which came to nothing, is not told here.
    const standing = { ...first.value, attendance: round === 1 ? first.value.attendance : null }
    return accept({ standing, start: { kind: 'genesis', model: standing.model } })
  }
  if (order.kind === 'asking') return refuse('start', 'no round follows the one that answers a question')
  const signed = asStep('start', 'the parent', await blocks.signed(parent, 'round', order.run.coordinator))
  if (!signed.ok) return signed
  const manifest: RoundManifest = signed.value.value
  if (manifest.run !== run || manifest.round >= round)
    return refuse('start', `round ${manifest.round} of ${manifest.run} is no parent of round ${round} of ${run}`)
  const standing = await standingAfter(blocks, order, { cid: parent, manifest })
  if (!standing.ok) return refuse('start', `${standing.refusal}: ${standing.detail}`)
  const made = await modelCidOf(order, standing.value.weights)
  if (made !== manifest.model) return refuse('start', `its weights are those of ${made}, not of ${manifest.model}`)
  const start = { kind: 'as-the-parent-says', model: manifest.model, parent, round: manifest.round } as const
  return accept({ standing: standing.value, start })
}

async function redo(
  blocks: Blocks,
  order: Order,
  standing: Standing,
  root: Root & { readonly root: Cid },
  options: Omit<VerifyOptions, 'progress'> & { readonly progress: (step: Step) => void },
): Promise<Result<Pick<LoneProof, 'round' | 'nodes' | 'answer'>, Step>> {
  const { round, purpose } = root.value
  if (root.type === 'aborted') {
    const entry = { round, aborted: root.root, receipts: null, purpose }
    const ended = await checkAborted(blocks, order, standing, entry, options.progress)
    if (!ended.ok) return ended
    const nothing = {
      outcome: 'aborted',
      reports: 0,
      vectors: null,
      evaluation: null,
      accuracy: null,
      model: standing.model,
    } as const
    const { reason } = ended.value.record
    return accept({ round: { round, purpose, ...nothing, reason }, nodes: [], answer: null })
  }
  const entry = { round, manifest: root.root }
  const redone = await redoRound(blocks, order, standing, entry, { ...options, vectors: options.vectors })
  if (!redone.ok) return redone
  const { contributions, vectors, answer, manifest } = redone.value
  const { evaluation, model } = manifest
  const accuracy = accuracyOf(subjectOf(order), evaluation)
  const figures = { reports: contributions.length, vectors, evaluation, accuracy, model }
  const nodes = contributions.map(({ node }) => node).toSorted()
  return accept({ round: { round, purpose, outcome: 'closed', ...figures, reason: null }, nodes, answer })
}
