import { DatabaseSync } from 'node:sqlite'
import { copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { type EventLog, StorageFull } from '#protocol/ports.ts'
import { createTables, schemaVersion } from '../sqlite-schema.ts'
import { checkAppend } from './bounds.ts'

/**
 * A log in one SQLite file: write-ahead, every commit synced. Appends of one turn of the event loop share a transaction,
 * so a hundred nodes that join at once cost one sync; each answers after the commit. A second process may open the same
 * file: whoever is behind gets `conflict`, and a writer that stays in the way longer than `busyMillis` makes it throw.
 * Reads go in pages, so that an iteration left open holds no snapshot and stops nobody.
 */
export function openSqliteLog({ file, busyMillis = 5000 }: SqliteLogOptions): EventLog & AsyncDisposable {
  const database = new DatabaseSync(file, { timeout: busyMillis })
  prepareSchema(database)
  const select = {
    head: database.prepare('SELECT coalesce(max(position) + 1, 0) AS head FROM streams WHERE name = ?'),
    page: database.prepare('SELECT entry FROM streams WHERE name = ? AND position >= ? ORDER BY position LIMIT ?'),
    next: database.prepare('SELECT name FROM streams WHERE name > ? AND name < ? ORDER BY name LIMIT 1'),
    exact: database.prepare('SELECT name FROM streams WHERE name = ? LIMIT 1'),
  }
  const insert = database.prepare('INSERT INTO streams (name, position, entry) VALUES (?, ?, ?)')
  let waiting: Append[] = []
  let closed = false

  const headOf = (stream: string) => Number(select.head.get(stream)?.['head'])

  function commitWaiting(): void {
    const batch = waiting
    waiting = []
    if (batch.length === 0) return
    try {
      database.exec('BEGIN IMMEDIATE')
      const answers = batch.map(({ stream, position, entries }) => {
        if (headOf(stream) !== position) return 'conflict'
        for (const [index, entry] of entries.entries()) insert.run(stream, position + index, entry)
        return 'appended'
      })
      database.exec('COMMIT')
      for (const [index, { answer }] of batch.entries()) answer.resolve(answers[index] as 'appended' | 'conflict')
    } catch (cause) {
      for (const { answer } of batch)
        answer.reject(isFull(cause) ? new StorageFull('the disk is full', { cause }) : cause)
      // SQLite may have rolled back by itself (a full disk); what it has not, this does.
      if (database.isTransaction) database.exec('ROLLBACK')
    }
  }

  return {
    async append(stream, position, entries) {
      checkAppend(stream, position, entries)
      if (closed) throw new Error('the log is closed')
      const answer = Promise.withResolvers<'appended' | 'conflict'>()
      waiting.push({ stream, position, entries: entries.map((entry) => copyOf(entry)), answer })
      if (waiting.length === 1) setImmediate(commitWaiting)
      return answer.promise
    },
    async *read(stream, from = 0) {
      for (let at = from; ; at += PAGE_ENTRIES) {
        const page = select.page.all(stream, at, PAGE_ENTRIES)
        for (const row of page) yield row['entry'] as Bytes
        if (page.length < PAGE_ENTRIES) return
      }
    },
    head: async (stream) => headOf(stream),
    async *streams(prefix) {
      if (select.exact.get(prefix)) yield prefix
      // Names are visible ASCII, so everything with the prefix sorts before the prefix and a DEL. One seek a stream.
      for (
        let row = select.next.get(prefix, `${prefix}\x7f`);
        row;
        row = select.next.get(row['name'] as string, `${prefix}\x7f`)
      )
        yield row['name'] as string
    },
    async [Symbol.asyncDispose]() {
      if (closed) return
      closed = true
      commitWaiting()
      database.close()
    },
  }
}

/** SQLite's own number for it, SQLITE_FULL, is the low byte of what may say more. */
function isFull(cause: unknown): boolean {
  return cause instanceof Error && 'errcode' in cause && (Number(cause.errcode) & 0xff) === 13
}

type SqliteLogOptions = { readonly file: string; readonly busyMillis?: number }

type Append = {
  readonly stream: string
  readonly position: number
  readonly entries: readonly Bytes[]
  readonly answer: PromiseWithResolvers<'appended' | 'conflict'>
}

/** Entries are 4 KiB at most in practice and 1 MiB by the door's bound: a page is 256 KiB, at worst 64 MiB. */
const PAGE_ENTRIES = 64

const SCHEMA_VERSION = 1

function prepareSchema(database: DatabaseSync): void {
  database.exec('PRAGMA synchronous = FULL')
  const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
  if (mode !== 'wal') throw new Error(`the log's file system cannot do a write-ahead log (SQLite answers ${mode})`)
  const version = schemaVersion(database)
  if (version > SCHEMA_VERSION)
    throw new Error(`the log is of version ${version}; this program reads ${SCHEMA_VERSION}`)
  createTables(
    database,
    SCHEMA_VERSION,
    `CREATE TABLE IF NOT EXISTS streams (
      name TEXT NOT NULL, position INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (name, position)
    ) STRICT, WITHOUT ROWID`,
  )
}
