import type { BlobStore, EventLog } from '#protocol/ports.ts'

/** Thrown by the doors of a process that is gone. */
export class Crashed extends Error {
  override name = 'Crashed'
}

/** One life of a process. It dies at an append to its log, or when it is killed. */
export type Life = {
  readonly death: AbortController
  readonly draw: () => number
  /** Chance to die at one append, half of the time after it was durable. */
  readonly crash: number
}

/** Dies at an append (of one entry or a batch), before or after it is durable; from then on nothing of this life reaches the log. */
export function mortalLog(log: EventLog, { death, draw, crash }: Life): EventLog {
  return {
    async append(stream, position, entries) {
      death.signal.throwIfAborted()
      const dies = crash > 0 && draw() < crash
      const after = dies && draw() < 0.5
      if (dies && !after) death.abort(new Crashed('before the append'))
      death.signal.throwIfAborted()
      const answer = await log.append(stream, position, entries)
      if (dies) death.abort(new Crashed('after the append'))
      death.signal.throwIfAborted()
      return answer
    },
    async *read(stream, from) {
      death.signal.throwIfAborted()
      yield* log.read(stream, from)
    },
    head: (stream) => log.head(stream),
    streams: (prefix) => log.streams(prefix),
  }
}

export function mortalBlobs(blobs: BlobStore, dead: AbortSignal): BlobStore {
  const alive =
    <A extends readonly unknown[], R>(act: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      dead.throwIfAborted()
      return act(...args)
    }
  return {
    put: alive((...args: Parameters<BlobStore['put']>) => blobs.put(...args)),
    putBlocks: alive((blocks) => blobs.putBlocks(blocks)),
    get: (cid, range, signal) => blobs.get(cid, range, signal),
    getBlock: alive((cid, limit) => blobs.getBlock(cid, limit)),
    has: alive((cid) => blobs.has(cid)),
    delete: alive((cid) => blobs.delete(cid)),
  }
}
