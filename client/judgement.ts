import type { Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import type { ModelManifest } from '#protocol/manifest.ts'
import type { TrainerBackend } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { type Assignment, type Readable, readAssignment, withSmallModel } from './assignment.ts'
import type { Policy } from './policy.ts'
import { reasonOf } from './progress.ts'
import type { SiteTerms } from './site.ts'
import { memoryOn } from './trainers/traits.ts'

export type JudgementDoors = {
  readonly blobs: Readable
  readonly coordinator: NodeId
  readonly site: Pick<SiteTerms, 'memoryBytesMax'>
  readonly trainer: Pick<TrainerBackend, 'backend'>
  readonly policy: Policy
  readonly expectModel?: ((model: ModelManifest) => void) | undefined
}

/** Reads a plan and everything under it, and judges it: a node trains only what it has checked for itself. */
export async function judge(
  doors: JudgementDoors,
  cid: Cid,
  { run, round }: { readonly run: RunId; readonly round: Round },
): Promise<Result<Assignment>> {
  const considered = await consider(doors, cid)
  if (!considered.ok) return considered
  const { plan } = considered.value
  if (plan.run !== run || plan.round !== round) return refuse('foreign-plan')
  try {
    return await withSmallModel(considered.value)
  } catch (cause) {
    return refuse('fault', reasonOf(cause))
  }
}

/** The same of any round but for its model's weights: what this node takes a seat under, and by which rule it does not. */
export async function consider(
  { blobs, coordinator, site, trainer, policy, expectModel }: JudgementDoors,
  cid: Cid,
): Promise<Result<Assignment>> {
  try {
    const memoryBytesMax = memoryOn(trainer.backend, site.memoryBytesMax)
    const assignment = await readAssignment(blobs, coordinator, cid, memoryBytesMax, expectModel)
    if (!assignment.ok) return assignment
    const allowed = policy(assignment.value)
    return allowed.ok ? assignment : allowed
  } catch (cause) {
    return refuse('fault', reasonOf(cause))
  }
}
