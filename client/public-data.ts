import { collect, toHex } from '#protocol/bytes.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { type BlobStore, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import { refuse } from '#protocol/result.ts'
import { shareSeed } from '#protocol/seeds.ts'
import type { Task } from '#protocol/task.ts'
import type { PublicShare } from './data/dataset.ts'
import { FILE_BYTES_MAX } from './data/source.ts'
import type { Policy } from './policy.ts'
import type { TfjsTrainer } from './trainers/trainer.ts'

type PublicData = NonNullable<Task['publicData']>

/**
 * The trainer of a node that brings no data: of a task's public data, read from the coordinator and checked against their
 * names, it trains on the share of rows that the task's seed makes this node's. The last files stay in memory, since their next
 * round follows.
 */
export function publicTrainer(
  trainer: Pick<TfjsTrainer, 'backend' | 'fitOn'>,
  { blobs, node }: { readonly blobs: Pick<BlobStore, 'get'>; readonly node: NodeId },
): TrainerBackend {
  let files: { readonly key: string; readonly of: PublicShare['of'] } | undefined
  let last: PublicShare | undefined
  return {
    get backend() {
      return trainer.backend
    },
    async fit(model, training, signal, progress) {
      const { publicData, seed } = training.task
      if (!publicData) throw new TrainingRefused('no-data', 'this node brings none, and the task names none')
      const names = JSON.stringify(publicData)
      if (files?.key !== names) files = { key: names, of: await readPublic(blobs, publicData, signal) }
      // Two tasks may name the same files: each says by its seed which rows are whose.
      const share = shareSeed(seed, node)
      const key = `${names} ${toHex(share)}`
      if (last?.key !== key) last = { kind: 'share', key, of: files.of, seed: share }
      return trainer.fitOn(last, model, training, signal, progress)
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function readPublic(
  blobs: Pick<BlobStore, 'get'>,
  data: PublicData,
  signal: AbortSignal,
): Promise<PublicShare['of']> {
  const read = async (cid: Cid) => sharedBytes(await collect(blobs.get(cid, LIMIT, signal), FILE_BYTES_MAX))
  return data.kind === 'csv'
    ? { kind: 'csv', table: await read(data.table) }
    : { kind: 'idx', images: await read(data.images), labels: await read(data.labels) }
}

const LIMIT = { limitBytes: FILE_BYTES_MAX }

/** One memory for the network's thread and the training thread: they are handed over every round. */
function sharedBytes(bytes: Bytes): Bytes {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  return shared
}

/** Such a node declines what names no public data, before it takes a seat. */
export function takesPublicOnly(policy: Policy): Policy {
  return (assignment) =>
    assignment.kind === 'training' && !assignment.task.publicData
      ? refuse('no-public-data', 'this node brings none, and the task names none')
      : policy(assignment)
}
