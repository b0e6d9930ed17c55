import { codecOf, DAG_CBOR } from '#protocol/cid.ts'
import type { Cid, NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Blocks } from '#verify/blocks.ts'
import { redoLineage } from '#verify/lineage.ts'
import type { RedoneRound } from '#verify/round.ts'
import type { Step } from '#verify/verdict.ts'
import type { Journal } from './journal.ts'
import type { Told } from './progress.ts'
import { checkedIn } from './said.ts'
import type { SiteTerms } from './site.ts'

export type LineageDoors = {
  readonly blobs: BlobStore
  /** The same blobs, past the cache: vectors are read once, and would push everything else out of it. */
  readonly uncached: BlobStore
  /** Masked vectors that only members may read. */
  readonly withheld: BlobStore
  readonly journal: Journal
  readonly coordinator: NodeId
  readonly site: SiteTerms
  readonly tell: (made: Told) => void
}

/**
 * R8: whether a plan's model is the one that the rounds before it make, as recomputed here from their masked vectors. On any
 * other a sum of updates, though masked, could be made to give one site's rows away. Each round is redone once, and
 * remembered when it was: a node that comes late redoes all of them.
 *
 * @param signal ends the waiting, also for a block that never comes
 */
export async function checkLineage(
  doors: LineageDoors,
  plan: Plan,
  signal: AbortSignal,
): Promise<Result<undefined, 'model-not-recomputed'>> {
  // The genesis was computed when the plan was read.
  if (plan.parent === null) return accept(undefined)
  const model = await endedBy(signal, recompute(doors, plan, plan.parent, signal))
  if (!model.ok) return refuse('model-not-recomputed', `${model.refusal}: ${model.detail ?? ''}`)
  return model.value === plan.model
    ? accept(undefined)
    : refuse('model-not-recomputed', `the rounds before make ${model.value}`)
}

async function recompute(
  { blobs, uncached, withheld, journal, coordinator, site, tell }: LineageDoors,
  { run, population, masking, task }: Plan,
  last: Cid,
  signal: AbortSignal,
): Promise<Result<Cid, Step>> {
  const blocks = new Blocks((cid) => {
    signal.throwIfAborted()
    return (codecOf(cid) === DAG_CBOR ? blobs : uncached).getBlock(cid, BLOCK_BYTES_MAX)
  }, checkedIn(blobs))
  const redone = async (round: RedoneRound): Promise<Result<undefined, Step>> => {
    const judged = judge(round, site)
    if (!judged.ok) return judged
    const { closed, parent } = round.standing
    if (parent) await journal.recomputed({ run, task }, parent)
    tell({ kind: 'recomputed', past: closed, reports: round.contributions.length })
    return accept(undefined)
  }
  const standing = await redoLineage(blocks, { run, coordinator, population, masking, task }, last, {
    known: await journal.recomputations({ run, task }),
    vectors: async (_sha256, sizeBytes, cid) => withheld.get(cid, { limitBytes: sizeBytes }, signal),
    redone,
  })
  return standing.ok ? accept(standing.value.model) : standing
}

/** A sum is right only among nodes that this site knows: whoever invents the members of a round chooses the model it makes. */
function judge({ manifest, plan, vectors }: RedoneRound, { allowed, maxCorrupt }: SiteTerms): Result<undefined, Step> {
  if (vectors !== 'recomputed') return refuse('vector', 'its vectors were not added up')
  const stranger = allowed === 'open' ? undefined : manifest.seats.find(({ node }) => !allowed.has(node))
  if (stranger) return refuse('cohort', `${stranger.node} is not on this site's list`)
  const corrupt = plan.secure?.corrupt ?? 0
  return corrupt >= maxCorrupt ? accept(undefined) : refuse('plan', `bears ${corrupt} corrupt nodes of ${maxCorrupt}`)
}

function endedBy<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = () => reject(signal.reason)
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  return Promise.race([work, ended]).finally(() => signal.removeEventListener('abort', end))
}
