import type { Bytes } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import type { SharedLog } from '#protocol/ports.ts'
import { checkAppend } from './bounds.ts'

/** A log in this process's memory, gone with it. */
export function openMemoryLog(): SharedLog {
  const streams = new Map<string, Bytes[]>()
  const readers = new Set<Mailbox<string>>()

  return {
    async append(stream, position, entries) {
      checkAppend(stream, position, entries)
      const kept = streams.get(stream) ?? []
      if (kept.length !== position) return 'conflict'
      kept.push(...entries.map((entry) => entry.slice()))
      streams.set(stream, kept)
      for (const reader of readers) reader.push(stream)
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
    async *news(signal) {
      const reader = new Mailbox<string>()
      readers.add(reader)
      try {
        yield* reader.items(signal)
      } finally {
        readers.delete(reader)
      }
    },
  }
}
