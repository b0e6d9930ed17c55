import { strategyOf } from '#aggregation/strategies/strategy.ts'
import type { Cid } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { modelSchema, type RoundManifest } from '#protocol/manifest.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'
import { type RedoneRound, redoRound, type Standing } from './round.ts'
import { checkGenesis, checkTask, type Order, readFloats, type Terms, type Training } from './run.ts'
import type { VectorFinder } from './session.ts'
import { asStep, type Step } from './verdict.ts'

export type Sealed = { readonly cid: Cid; readonly manifest: RoundManifest }

export type LineageOptions = {
  /** Sealed manifests of rounds that the caller has redone before: it goes on from the latest of them. */
  readonly known: ReadonlySet<Cid>
  /** Masked vectors that are not public. */
  readonly vectors: VectorFinder
  /** Hears of each round that was redone, the oldest first, and may refuse it for a reason of its own. */
  readonly redone: (round: RedoneRound) => Promise<Result<undefined, Step>>
}

/**
 * Redoes the closed rounds that led to a model while their run goes on, with the steps of a verification: from the genesis,
 * or from the latest round that was redone before. Nothing is taken from what the coordinator signed that can be redone, so
 * the model at the end is the one that these plans and vectors make, whoever says what.
 *
 * @param last the sealed manifest of the round that is said to have made it
 * @returns where the next round starts; a block that is missing throws
 */
export async function redoLineage(
  blocks: Blocks,
  terms: Terms,
  last: Cid,
  { known, vectors, redone }: LineageOptions,
): Promise<Result<Standing, Step>> {
  const order = await checkTask(blocks, terms)
  if (!order.ok) return order
  if (order.value.kind !== 'training') return refuse('task', 'no round about a question makes a model')
  const walked = await walkBack(blocks, terms, last, known)
  if (!walked.ok) return walked
  const { ahead, from } = walked.value
  const start = await (from ? standingAfter(blocks, order.value, from) : firstStanding(blocks, order.value))
  if (!start.ok) return start
  let standing = start.value
  for (const { cid, manifest } of ahead) {
    const entry = { round: manifest.round, manifest: cid }
    // What became of the seats of a round between them that came to nothing is not told here.
    if (manifest.round > standing.closed + 1) standing = { ...standing, attendance: null }
    const round = await redoRound(blocks, order.value, standing, entry, { vectors, progress: () => undefined })
    if (!round.ok) return inRound(manifest, round)
    const taken = await redone(round.value)
    if (!taken.ok) return inRound(manifest, taken)
    standing = round.value.standing
  }
  return accept(standing)
}

/** To the latest known round or to the first one. Numbers fall from one to the next, so it ends. */
async function walkBack(
  blocks: Blocks,
  { run, coordinator }: Terms,
  last: Cid,
  known: ReadonlySet<Cid>,
): Promise<Result<{ readonly ahead: readonly Sealed[]; readonly from: Sealed | undefined }, Step>> {
  const back: Sealed[] = []
  let after = ROUNDS_MAX + 1
  for (let cid: Cid | null = last; cid !== null; ) {
    const signed = asStep('round-manifest', cid, await blocks.signed(cid, 'round', coordinator))
    if (!signed.ok) return signed
    const manifest: RoundManifest = signed.value.value
    if (manifest.run !== run) return refuse('round-manifest', `of another run, ${manifest.run}`)
    if (manifest.round >= after) return refuse('round-manifest', `round ${manifest.round} is no parent of ${after}`)
    if (known.has(cid)) return accept({ ahead: back.toReversed(), from: { cid, manifest } })
    back.push({ cid, manifest })
    after = manifest.round
    cid = manifest.parent
  }
  return accept({ ahead: back.toReversed(), from: undefined })
}

/**
 * What a round made, as its manifest names it: read again where it was redone before, taken from it where it was not. Who
 * was in the draws before, and by what rule, is not known from there.
 */
export async function standingAfter(
  blocks: Blocks,
  order: Training,
  { cid, manifest }: Sealed,
): Promise<Result<Standing, Step>> {
  const model = asStep('model', 'its manifest', await blocks.read(manifest.model, modelSchema))
  if (!model.ok) return model
  const weights = asStep('model', 'its weights', await readFloats(blocks, model.value.weights, order.parameters))
  if (!weights.ok) return weights
  const memoryLength = strategyOf(order.task.strategy).memoryLength(order.payload.parameters)
  const memory = asStep('memory', 'the file', await readFloats(blocks, manifest.memory, memoryLength))
  if (!memory.ok) return memory
  const { round: closed } = manifest
  const made = { closed, model: manifest.model, weights: weights.value, memory: memory.value, parent: cid }
  return accept({ ...made, attendance: null, rule: null })
}

/** Where the first round starts: of training the genesis, which anyone can make or its author gave; of a question itself, since there is no model. */
export async function firstStanding(blocks: Blocks, order: Order): Promise<Result<Standing, Step>> {
  if (order.kind === 'asking') {
    const nothing = new Float32Array(0)
    const start = { model: order.run.task, weights: nothing, memory: nothing, parent: null, closed: 0 }
    return accept({ ...start, attendance: [], rule: null })
  }
  const weights = await checkGenesis(blocks, order)
  if (!weights.ok) return weights
  const memory = new Float32Array(strategyOf(order.task.strategy).memoryLength(order.payload.parameters))
  const start = { closed: 0, model: order.task.genesis, weights: weights.value, memory, parent: null }
  return accept({ ...start, attendance: [], rule: null })
}

function inRound(
  { round }: RoundManifest,
  { refusal, detail = '' }: { readonly refusal: Step; readonly detail?: string },
): Result<never, Step> {
  return refuse(refusal, `round ${round}: ${detail}`)
}
