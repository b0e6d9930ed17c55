import { DatabaseSync } from 'node:sqlite'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { systemClock } from '../clock.ts'
import { createTables, schemaVersion } from '../sqlite-schema.ts'
import { isBusy } from './disk.ts'

/** What is to be in the catalogue: a block whose bytes lie here, or (null) one whose bytes lie in a file. */
export type CatalogueEntry = { readonly cid: Cid; readonly root: boolean; readonly bytes: Bytes | null }

/** Blocks that are kept for the sake of a blob which is not whole yet, until a time. */
export type Parts = { readonly blob: Cid; readonly cids: readonly Cid[]; readonly until: Millis }

/**
 * What a folder of blobs knows by heart, in one SQLite file (write-ahead, every commit synced): which blobs were put, the
 * roots, the bytes of every block too small to be worth a file of its own, which blocks wait as parts for the rest of their
 * blob, and what all blocks together take. A row of blocks is a root, or lies here, or both. Several processes of one
 * machine may have it open; one writes at a time.
 */
export function openCatalogue(file: string): Catalogue {
  const database = new DatabaseSync(file, { timeout: READ_BUSY_MILLIS })
  try {
    prepareSchema(database)
  } catch (cause) {
    database.close()
    throw cause
  }
  const select = {
    bytes: database.prepare('SELECT bytes FROM blocks WHERE cid = ?'),
    size: database.prepare('SELECT length(bytes) AS size FROM blocks WHERE cid = ?'),
    root: database.prepare('SELECT root FROM blocks WHERE cid = ?'),
    total: database.prepare('SELECT coalesce(sum(length(bytes)), 0) AS total FROM blocks'),
    // Every dag-pb CIDv1 with a SHA-256 begins so in base32, and no other does.
    trees: database.prepare("SELECT cid FROM blocks WHERE root = 1 AND cid >= 'bafybei' AND cid < 'bafybej'"),
    inFiles: database.prepare('SELECT cid FROM blocks WHERE root = 1 AND bytes IS NULL'),
    used: database.prepare('SELECT bytes FROM used'),
    isPart: database.prepare('SELECT 1 FROM parts WHERE cid = ? LIMIT 1'),
    partsOf: database.prepare('SELECT cid FROM parts WHERE blob = ?'),
    overdue: database.prepare('SELECT DISTINCT cid FROM parts WHERE until <= ?'),
    parts: database.prepare('SELECT DISTINCT cid FROM parts'),
  }
  const upsert = database.prepare(`
    INSERT INTO blocks (cid, root, bytes) VALUES (?, ?, ?)
    ON CONFLICT (cid) DO UPDATE SET root = max(root, excluded.root), bytes = coalesce(excluded.bytes, bytes)
  `)
  const unmark = database.prepare('UPDATE blocks SET root = 0 WHERE cid = ?')
  const clear = database.prepare('UPDATE blocks SET bytes = NULL WHERE cid = ?')
  const remove = database.prepare('DELETE FROM blocks WHERE cid = ?')
  const expect = database.prepare(`
    INSERT INTO parts (blob, cid, until) VALUES (?, ?, ?)
    ON CONFLICT (blob, cid) DO UPDATE SET until = max(until, excluded.until)
  `)
  const unexpect = database.prepare('DELETE FROM parts WHERE blob = ? AND cid = ?')
  const abandon = database.prepare('DELETE FROM parts WHERE blob = ?')
  const expire = database.prepare('DELETE FROM parts WHERE until <= ?')
  const grow = database.prepare('UPDATE used SET bytes = bytes + ?')

  /** Waits without holding up this process: another one may be moving files meanwhile. */
  async function begin(): Promise<void> {
    const until = systemClock.now() + BUSY_MILLIS_MAX
    for (;;) {
      try {
        return database.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE')
      } catch (cause) {
        if (!isBusy(cause) || systemClock.now() > until) throw cause
      } finally {
        database.exec(`PRAGMA busy_timeout = ${READ_BUSY_MILLIS}`)
      }
      await systemClock.wakeAt(systemClock.now() + LOOK_MILLIS, new AbortController().signal)
    }
  }

  const isRoot = (cid: Cid) => select.root.get(cid)?.['root'] === 1
  const cidsOf = (rows: readonly Record<string, unknown>[]) => rows.map((row) => row['cid'] as Cid)

  return {
    bytesOf: (cid) => (select.bytes.get(cid)?.['bytes'] as Bytes | null | undefined) ?? undefined,
    sizeOf: (cid) => (select.size.get(cid)?.['size'] as number | null | undefined) ?? undefined,
    isRoot,
    trees: () => cidsOf(select.trees.all()),
    rootsInFiles: () => cidsOf(select.inFiles.all()),
    totalBytes: () => Number(select.total.get()?.['total']),
    usedBytes: () => Number(select.used.get()?.['bytes']),
    async write(act) {
      await begin()
      try {
        return await act((change, grownBytes) => {
          change?.()
          grow.run(grownBytes)
          database.exec('COMMIT')
        })
      } finally {
        // It was left, or SQLite gave up (a full disk) without rolling back by itself.
        if (database.isTransaction) database.exec('ROLLBACK')
      }
    },
    add(entries) {
      for (const { cid, root, bytes } of entries) upsert.run(cid, root ? 1 : 0, bytes)
    },
    isPart: (cid) => select.isPart.get(cid) !== undefined,
    partsOf: (blob) => cidsOf(select.partsOf.all(blob)),
    overdue: (now) => cidsOf(select.overdue.all(now)),
    parts: () => cidsOf(select.parts.all()),
    expect({ blob, cids, until }) {
      for (const cid of cids) expect.run(blob, cid, until)
    },
    finish(blob, cids) {
      upsert.run(blob, 1, null)
      for (const cid of cids) unexpect.run(blob, cid)
    },
    abandon(blob) {
      unmark.run(blob)
      abandon.run(blob)
    },
    expire: (now) => void expire.run(now),
    remove(cids) {
      for (const cid of cids) remove.run(cid)
    },
    clear: (cid) => void clear.run(cid),
    [Symbol.dispose]: () => database.close(),
  }
}

export type Catalogue = Disposable & {
  /** Unchecked, as the disk has them. Undefined when they do not lie here. */
  bytesOf(cid: Cid): Bytes | undefined
  sizeOf(cid: Cid): number | undefined
  isRoot(cid: Cid): boolean
  /** Roots that have parts. */
  trees(): readonly Cid[]
  /** Roots whose own block is a file. */
  rootsInFiles(): readonly Cid[]
  /** Of the blocks that lie here. */
  totalBytes(): number
  /** Of all blocks, in files as well, as every writer has kept it. */
  usedBytes(): number
  /**
   * Nobody else, of any process, writes or moves files while this acts. What it commits is all of it there or none, and
   * durable when `commit` returns; it may commit nothing.
   */
  write<T>(act: (commit: (change: (() => void) | undefined, grownBytes: number) => void) => Promise<T>): Promise<T>
  add(entries: readonly CatalogueEntry[]): void
  isPart(cid: Cid): boolean
  /** Those that wait for the blob. */
  partsOf(blob: Cid): readonly Cid[]
  /** Those whose time for some blob is over. */
  overdue(now: Millis): readonly Cid[]
  parts(): readonly Cid[]
  /** They wait for the blob, at least until then. */
  expect(parts: Parts): void
  /** The blob is a root, and these blocks of it wait no more. */
  finish(blob: Cid, cids: Iterable<Cid>): void
  /** The blob is no root any more, and nothing waits for it. */
  abandon(blob: Cid): void
  /** What waited until now waits no more. */
  expire(now: Millis): void
  /** These blocks are gone from here. */
  remove(cids: Iterable<Cid>): void
  /** The bytes are gone, the mark stays. */
  clear(cid: Cid): void
}

/** 1 knew no parts. */
const SCHEMA_VERSION = 2

/** Longer than any writer takes; who dies frees its place at once. */
const BUSY_MILLIS_MAX: Millis = 30_000
const READ_BUSY_MILLIS: Millis = 5000
const LOOK_MILLIS: Millis = 2

function prepareSchema(database: DatabaseSync): void {
  database.exec('PRAGMA synchronous = FULL')
  const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
  if (mode !== 'wal') throw new Error(`the blobs' file system cannot do a write-ahead log (SQLite answers ${mode})`)
  const version = schemaVersion(database)
  if (version > SCHEMA_VERSION)
    throw new Error(`the blobs are of version ${version}; this program reads ${SCHEMA_VERSION}`)
  // CIDs are hashes, so every commit touches pages all over the index; a longer log merges more of them into one write.
  database.exec('PRAGMA wal_autocheckpoint = 4096')
  createTables(database, SCHEMA_VERSION, SCHEMA)
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS blocks (cid TEXT NOT NULL UNIQUE, root INTEGER NOT NULL, bytes BLOB) STRICT;
  CREATE TABLE IF NOT EXISTS used (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO used VALUES (1, 0);
  CREATE TABLE IF NOT EXISTS parts (
    blob TEXT NOT NULL, cid TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (blob, cid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS parts_by_cid ON parts (cid);
  CREATE INDEX IF NOT EXISTS parts_by_until ON parts (until)
`
