import { copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { SharedLog } from '#protocol/ports.ts'
import { checkAppend } from './bounds.ts'
import { News } from './news.ts'

/** A log in this process's memory, gone with it. */
export function openMemoryLog(): SharedLog {
  const streams = new Map<string, Bytes[]>()
  const news = new News()

  return {
    async append(stream, position, entries) {
      checkAppend(stream, position, entries)
      const kept = streams.get(stream) ?? []
      if (kept.length !== position) return 'conflict'
      kept.push(...entries.map((entry) => copyOf(entry)))
      streams.set(stream, kept)
      news.tell(stream)
      return 'appended'
    },
    async *read(stream, from = 0) {
      for (let at = from; ; at++) {
        const entry = streams.get(stream)?.[at]
        if (!entry) return
        yield copyOf(entry)
      }
    },
    head: async (stream) => streams.get(stream)?.length ?? 0,
    async *streams(prefix) {
      yield* [...streams.keys()].filter((name) => name.startsWith(prefix)).sort()
    },
    news: (signal) => news.heard(signal),
  }
}
