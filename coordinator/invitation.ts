import { decode } from '#protocol/codec.ts'
import { type Block, isAttachable, unseal } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { taskSchema } from '#protocol/task.ts'
import type { Round } from './round/round.ts'
import type { Run } from './run.ts'

/**
 * The blocks that every node of a round reads next: the sealed plan, the model with its weights, the sealed round that
 * made it; before there is one, the task with its architecture, which nodes know from then on. Those that find room travel
 * with the invitation, so that a small model costs a node no request at all. It is a help and no more: what cannot be read
 * here is left out, and a node that misses it asks for it.
 */
export async function invitation(
  blobs: BlobStore,
  { spec, model, parent }: Run,
  { plan }: Extract<Round, { phase: 'selection' }>,
): Promise<readonly Block[]> {
  const found = new Map<Cid, Bytes>()
  const read = async (cid: Cid): Promise<Bytes> => {
    const bytes = await blobs.getBlock(cid, BLOCK_BYTES_MAX)
    found.set(cid, bytes)
    return bytes
  }
  const walks = [
    async () => void (await unseal(await read(plan), read)),
    async () => {
      const manifest = decode(modelSchema, await read(model), BLOCK_BYTES_MAX)
      if (manifest.ok) await read(manifest.value.weights)
    },
    async () => void (parent && (await unseal(await read(parent), read))),
  ]
  if (parent === null)
    walks.push(async () => {
      const task = decode(taskSchema, await read(spec.task), BLOCK_BYTES_MAX)
      if (task.ok) await read(task.value.architecture)
    })
  await Promise.allSettled(walks.map((walk) => walk()))
  // The smallest first, so that the seals and manifests go before weights.
  return [...found]
    .map(([cid, bytes]) => ({ cid, bytes }))
    .filter(({ bytes }) => isAttachable(bytes.length))
    .sort((a, b) => a.bytes.length - b.bytes.length)
}
