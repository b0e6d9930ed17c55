import { type Said, say } from '#aggregation/secagg/messages.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { aggregateEffect } from '#coordinator/effects/aggregate.ts'
import type { SessionDoors } from '#coordinator/effects/session.ts'
import { blockOf, readModel } from '#coordinator/record.ts'
import type { EffectHandler } from '#coordinator/runner.ts'
import { blocksOf, readSaid } from '#coordinator/said.ts'
import { assert } from '#protocol/assert.ts'
import { once } from '#protocol/bytes.ts'
import type { Cid, Round } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { keepSealed, readSealed } from '#protocol/sealed.ts'

/**
 * The coordinator's sum, honest but for one round: after that it publishes a model of its own making, signed in every place
 * that names it, and goes on as if the sum had made it.
 */
export function craftingAggregate(doors: SessionDoors, after: Round): EffectHandler {
  const { blobs, signer } = doors
  const honest = aggregateEffect(doors)
  return async (run, owed, signal) => {
    const event = await honest(run, owed, signal)
    if (event.kind !== 'aggregated' || event.round !== after) return event
    const read = await readSealed(event.manifest, 'round', (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX))
    assert(read.ok && read.value.value.session, 'a masked round was closed')
    const { session, ...manifest } = read.value.value
    const { manifest: model, weights } = await readModel(blobs, event.model)
    const crafted = encodeWeights(weights.map((_, index) => 9 - index))
    const block = blockOf(modelSchema, { ...model, weights: await blobs.put(once(crafted), crafted.length) })
    const result: Said<'Result'> = await readSaid(blobs, 'Result', session.result)
    const told = say(signer, 'Result', { ...result.body, model: block.cid })
    await blobs.putBlocks([block, ...blocksOf(told)])
    const lie = { ...manifest, model: block.cid, session: { ...session, result: told.cid } }
    return { ...event, model: block.cid, manifest: await keepSealed(blobs, signer, 'round', lie) }
  }
}
