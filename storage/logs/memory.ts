import type { Bytes } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import { checkAppend } from './bounds.ts'

/** A log in this process's memory, gone with it. */
export function openMemoryLog(): EventLog {
  const streams = new Map<string, Bytes[]>()

  return {
    async append(stream, position, entries) {
      checkAppend(stream, position, entries)
      const kept = streams.get(stream) ?? []
      if (kept.length !== position) return 'conflict'
      kept.push(...entries.map((entry) => entry.slice()))
      streams.set(stream, kept)
      return 'appended'
    },
    async *read(stream, from = 0) {
      for (let at = from; ; at++) {
        const entry = streams.get(stream)?.[at]
        if (!entry) return
        yield entry.slice()
      }
    },
    head: async (stream) => streams.get(stream)?.length ?? 0,
    async *streams(prefix) {
      yield* [...streams.keys()].filter((name) => name.startsWith(prefix)).sort()
    },
  }
}
