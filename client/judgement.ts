import type { Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import type { ModelManifest } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { type Assignment, readAssignment } from './assignment.ts'
import type { Policy } from './policy.ts'
import { reasonOf } from './progress.ts'
import type { SiteTerms } from './site.ts'

export type JudgementDoors = {
  readonly blobs: BlobStore
  readonly coordinator: NodeId
  readonly site: Pick<SiteTerms, 'memoryBytesMax'>
  readonly policy: Policy
  readonly expectModel?: ((model: ModelManifest) => void) | undefined
}

/** Reads a plan and everything under it, and judges it: a node trains only what it has checked for itself. */
export async function judge(
  { blobs, coordinator, site, policy, expectModel }: JudgementDoors,
  cid: Cid,
  { run, round }: { readonly run: RunId; readonly round: Round },
): Promise<Result<Assignment>> {
  try {
    const assignment = await readAssignment(blobs, coordinator, cid, site.memoryBytesMax, expectModel)
    if (!assignment.ok) return assignment
    const { plan } = assignment.value
    if (plan.run !== run || plan.round !== round) return refuse('foreign-plan')
    const allowed = policy(assignment.value)
    return allowed.ok ? assignment : allowed
  } catch (cause) {
    return refuse('fault', reasonOf(cause))
  }
}
