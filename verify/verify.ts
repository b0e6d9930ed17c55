import type { RemoveMasks } from '#aggregation/secagg/removal.ts'
import type { Answer } from '#aggregation/statistics/answer.ts'
import { totalOf } from '#payments/allocate.ts'
import { accuracyOf } from '#protocol/accuracy.ts'
import { kindOf } from '#protocol/bundle.ts'
import { parseCid } from '#protocol/cid.ts'
import type { Cid, NodeId, Round } from '#protocol/ids.ts'
import type { Purpose } from '#protocol/plan.ts'
import type { Payout } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { checkAborted } from './aborted.ts'
import { BadBlock, type BlockSource, Blocks } from './blocks.ts'
import { type BundleFile, readBundle } from './bundle.ts'
import { BEGINNING, checkExtensions, courseAfter, purposeIn } from './course.ts'
import { firstStanding } from './lineage.ts'
import { type LoneProof, proveRound } from './lone-round.ts'
import { checkOrigin } from './origin.ts'
import { checkRound, type Standing } from './round.ts'
import { checkLedger, checkRun, checkShape, checkTask, type Pins, subjectOf } from './run.ts'
import type { VectorFinder } from './session.ts'
import type { Checked, Failure, RoundProof, Step, Verdict } from './verdict.ts'

export type VerifyOptions = Pins & {
  readonly progress?: (at: VerifyProgress) => void
  /** Masked vectors of which the record has hashes alone: with them those sums are redone as well. */
  readonly vectors?: VectorFinder
  /**
   * Whether rounds pass whose vectors are gone: by time, or because the bundle was made without them. All else of them is
   * checked; their sums are the coordinator's word, and the verdict calls them `expired`.
   */
  readonly allowExpired?: boolean
  /** By whose hands masks come off a sum; on this thread where nobody else's are at hand. */
  readonly removeMasks?: RemoveMasks
}
/** The step that begins now. `rounds` is how many the run has, once that is known. */
export type VerifyProgress = { readonly step: Step; readonly round?: Round; readonly rounds?: number }

/**
 * Verifies a run's bundle: every byte of the file, then everything that its blocks claim. Hostile files give a failure,
 * never an exception; a fault of the file itself (a disk error) throws.
 */
export function verifyBundle(file: BundleFile, options: VerifyOptions = {}): Promise<Verdict> {
  return verifyFile(file, options, verifyRecord)
}

/** The same of a bundle that `verify` is for. */
export async function verifyFile<P extends { readonly ok: true; readonly checked: Checked }>(
  file: BundleFile,
  options: VerifyOptions,
  verify: (root: Cid, block: BlockSource, options: VerifyOptions) => Promise<P | Failure>,
): Promise<P | Failure> {
  options.progress?.({ step: 'container' })
  const bundle = await readBundle(file)
  if (!bundle.ok) return failure(bundle)
  const { root, form, block, blocks, bytes } = bundle.value
  if (!form.vectors && !options.allowExpired) return failure(refuse('vector', WITHOUT_VECTORS))
  const verdict = await verify(root, block, options)
  return verdict.ok ? { ...verdict, checked: { ...verdict.checked, blocks, bytes } } : verdict
}

const WITHOUT_VECTORS = 'the bundle has no vectors: --without-vectors verifies all but its sums'

/**
 * Verifies a run's record from its root, wherever its blocks are. It redoes the arithmetic from the genesis on: hashes,
 * signatures, sums, models, figures and pay. What it cannot know is who wanted a seat and was not told of, whether a node's
 * data are what it says, and, unless pinned, who the coordinator is.
 */
export function verifyRecord(root: Cid, block: BlockSource, options: VerifyOptions = {}): Promise<Verdict> {
  return failingAt(block, (blocks, enter) => prove(blocks, root, options, enter))
}

/** Verifies one round from its own record: all but where it starts and who was paid, which the records of others tell. */
export function verifyRound(root: Cid, block: BlockSource, options: VerifyOptions = {}): Promise<LoneProof | Failure> {
  return failingAt(block, async (blocks, enter) => {
    let round: Round | undefined
    const proved = await proveRound(blocks, root, options, (at) => {
      round = at
      enter(at)
    })
    return proved.ok ? proved.value : failure(proved, round)
  })
}

/** Verifies a run or a round, whichever the root is. */
export async function verifyAny(
  root: Cid,
  block: BlockSource,
  options: VerifyOptions = {},
): Promise<Verdict | LoneProof> {
  const bytes = await block(root)
  const kind = bytes && parseCid(root).ok ? kindOf({ cid: root, bytes }) : 'other'
  return kind === 'round' || kind === 'aborted' ? verifyRound(root, block, options) : verifyRecord(root, block, options)
}

async function failingAt<P>(
  block: BlockSource,
  prove: (blocks: Blocks, enter: (round: Round | undefined) => void) => Promise<P | Failure>,
): Promise<P | Failure> {
  let round: Round | undefined
  try {
    return await prove(new Blocks(block), (at) => {
      round = at
    })
  } catch (cause) {
    if (cause instanceof BadBlock) return failure(refuse('block', cause.message), round)
    throw cause
  }
}

async function prove(
  blocks: Blocks,
  root: Cid,
  options: VerifyOptions,
  enter: (round: Round | undefined) => void,
): Promise<Verdict> {
  const { progress = () => undefined } = options
  progress({ step: 'run-manifest' })
  const checkedRun = await checkRun(blocks, root, options)
  if (!checkedRun.ok) return failure(checkedRun)
  const run = checkedRun.value
  progress({ step: 'task', rounds: run.rounds.length })
  const order = await checkTask(blocks, run)
  if (!order.ok) return failure(order)
  const shape = checkShape(order.value)
  if (!shape.ok) return failure(shape)
  const extensions = checkExtensions(run)
  if (!extensions.ok) return failure(extensions)
  if (run.origin) progress({ step: 'origin', rounds: run.rounds.length })
  const origin = await checkOrigin(blocks, order.value)
  if (!origin.ok) return failure(origin)
  if (order.value.kind === 'training') progress({ step: 'genesis', rounds: run.rounds.length })
  const start = await firstStanding(blocks, order.value)
  if (!start.ok) return failure(start)

  let standing = start.value
  let answer: Answer | null = null
  const rounds: RoundProof[] = []
  const payouts: (readonly Payout[])[] = []
  const nodes = new Set<NodeId>()
  let course = BEGINNING
  for (const { round, manifest, aborted, receipts } of run.rounds) {
    if (course.isDone) return failure(refuse('run-manifest', 'it went on after it was done'))
    enter(round)
    const enterStep = (step: Step) => progress({ step, round, rounds: run.rounds.length })
    const purpose = purposeIn(order.value, course, round)
    if (aborted !== null) {
      const entry = { round, aborted, receipts, purpose }
      const ended = await checkAborted(blocks, order.value, standing, entry, enterStep)
      if (!ended.ok) return failure(ended, round)
      rounds.push({ ...nothingOf(entry, standing), reason: ended.value.record.reason })
      standing = { ...standing, attendance: ended.value.attendance, rule: ended.value.rule }
      continue
    }
    const part = course.trained + 1
    const closed = await checkRound(
      blocks,
      order.value,
      standing,
      { round, manifest: manifest as Cid, receipts, purpose, part },
      { ...options, vectors: options.vectors, progress: enterStep },
    )
    if (!closed.ok) return failure(closed, round)
    standing = closed.value.standing
    answer = closed.value.answer
    course = courseAfter(order.value, course, { purpose, evaluation: closed.value.manifest.evaluation })
    for (const node of closed.value.nodes) nodes.add(node)
    payouts.push(closed.value.payouts)
    rounds.push({
      round,
      purpose,
      outcome: 'closed',
      reports: closed.value.nodes.length,
      vectors: closed.value.vectors,
      evaluation: closed.value.manifest.evaluation,
      accuracy: accuracyOf(subjectOf(order.value), closed.value.manifest.evaluation),
      model: standing.model,
      paid: closed.value.payouts.reduce((sum, { amount }) => sum + amount, 0n),
      reason: null,
    })
  }
  enter(undefined)
  progress({ step: 'ledger', rounds: run.rounds.length })
  const { evaluation } = course
  const ledger = checkLedger(order.value, { model: standing.model, course, payouts })
  if (!ledger.ok) return failure(ledger)

  const total = totalOf(run)
  const question = order.value.kind === 'asking' ? order.value.question : null
  return {
    ok: true,
    pinned: options.coordinator !== undefined || options.expect !== undefined,
    root,
    run: run.run,
    coordinator: run.coordinator,
    population: run.population,
    masking: run.masking,
    task: { cid: run.task, name: subjectOf(order.value).name },
    question,
    answer,
    outcome: run.outcome,
    reason: run.reason,
    origin: run.origin ?? null,
    planned: total.rounds,
    rounds,
    nodes: [...nodes].toSorted(),
    model: run.model,
    evaluation,
    accuracy: evaluation && accuracyOf(subjectOf(order.value), evaluation),
    budget: total.budget,
    paid: run.paid,
    released: run.released,
    checked: blocks.checked,
  }
}

function nothingOf({ round, purpose }: { round: Round; purpose: Purpose }, { model }: Standing) {
  return {
    round,
    purpose,
    outcome: 'aborted',
    reports: 0,
    vectors: null,
    evaluation: null,
    accuracy: null,
    model,
    paid: 0n,
  } as const
}

function failure(refused: Extract<Result<unknown, Step>, { ok: false }>, round?: Round): Failure {
  const { refusal: step, detail = '' } = refused
  return round === undefined ? { ok: false, step, detail } : { ok: false, step, round, detail }
}
