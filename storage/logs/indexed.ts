import { copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import { answered, readFrom, write } from '../indexed/database.ts'
import { checkAppend } from './bounds.ts'

/** A log in a page's database: each append one transaction, synced when it answers. Reads go in pages of their own. */
export function openIndexedLog(database: IDBDatabase): EventLog {
  return {
    async append(stream, position, entries) {
      checkAppend(stream, position, entries)
      const kept = entries.map((entry) => copyOf(entry))
      return write(database, ['streams'], async (open) => {
        const streams = open('streams')
        if ((await headOf(streams, stream)) !== position) return 'conflict'
        for (const [index, entry] of kept.entries()) streams.add(entry, [stream, position + index])
        return 'appended'
      })
    },
    async *read(stream, from = 0) {
      for (let at = from; ; at += PAGE_ENTRIES) {
        const range = IDBKeyRange.bound([stream, at], [stream, at + PAGE_ENTRIES], false, true)
        const page: Bytes[] = await readFrom(database, 'streams', (streams) => streams.getAll(range))
        yield* page
        if (page.length < PAGE_ENTRIES) return
      }
    },
    head: (stream) => headOf(database.transaction('streams').objectStore('streams'), stream),
    async *streams(prefix) {
      // A list sorts after every number: past one stream's last entry begins the next one's first.
      for (let after: IDBValidKey = [prefix]; ; ) {
        const range = IDBKeyRange.lowerBound(after)
        const next = await readFrom(database, 'streams', (streams) => streams.openKeyCursor(range))
        const [name] = (next?.key ?? []) as [string?]
        if (!name?.startsWith(prefix)) return
        yield name
        after = [name, []]
      }
    },
  }
}

async function headOf(streams: IDBObjectStore, stream: string): Promise<number> {
  const last = await answered(streams.openKeyCursor(IDBKeyRange.bound([stream, 0], [stream, []]), 'prev'))
  const [, position] = (last?.key ?? []) as [string?, number?]
  return position === undefined ? 0 : position + 1
}

/** Entries are 4 KiB at most in practice and 1 MiB by the door's bound: a page is 256 KiB, at worst 64 MiB. */
const PAGE_ENTRIES = 64
