import type { Bytes } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import { checkAppend } from './bounds.ts'

/** A log in this process's memory, gone with it. */
export function openMemoryLog(): EventLog {
  const streams = new Map<string, Bytes[]>()

  return {
    async append(stream, position, entry) {
      checkAppend(stream, position, entry)
      const entries = streams.get(stream) ?? []
      if (entries.length !== position) return 'conflict'
      entries.push(entry.slice())
      streams.set(stream, entries)
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
