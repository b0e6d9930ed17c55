import type { RunManifest } from '#protocol/manifest.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'
import type { Order } from './run.ts'
import { asStep } from './verdict.ts'

/**
 * Step `origin`: the round that a forked run says it starts from is signed by the same coordinator, and made the model that
 * the task starts from. That the rounds before made it is what that run's own record proves.
 */
export async function checkOrigin(blocks: Blocks, order: Order<RunManifest>): Promise<Result<undefined, 'origin'>> {
  const { origin, coordinator, run } = order.run
  if (order.kind === 'asking' || !origin) return accept(undefined)
  const signed = asStep('origin', 'the round', await blocks.signed(origin.manifest, 'round', coordinator))
  if (!signed.ok) return signed
  const { value: round } = signed.value
  if (origin.run === run) return refuse('origin', 'a run does not start from itself')
  if (round.run !== origin.run || round.round !== origin.round)
    return refuse('origin', `it is round ${round.round} of ${round.run}, not ${origin.round} of ${origin.run}`)
  const { task } = order
  if (round.purpose === 'ask' || task.start !== 'given' || round.model !== task.genesis)
    return refuse('origin', `it made ${round.model}, the task starts from ${task.genesis}`)
  return accept(undefined)
}
