import { rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Bytes } from '#protocol/ids.ts'
import type { Snapshots } from '#protocol/ports.ts'
import { createTables, schemaVersion } from '../sqlite-schema.ts'
import { seal, unseal } from './sealed.ts'

/**
 * Snapshots in a SQLite file of their own, which may be thrown away at any time: one that is damaged, or of another
 * version, is.
 */
export function openSqliteSnapshots({ file }: { readonly file: string }): Snapshots & AsyncDisposable {
  let tables = openAfresh(file)

  /** @returns undefined when the file turned out to be damaged; there is an empty one now */
  function unlessDamaged<T>(act: (tables: Tables) => T): T | undefined {
    try {
      return act(tables)
    } catch (cause) {
      if (!isDamage(cause)) throw cause
      tables.database.close()
      remove(file)
      tables = openTables(file)
      return undefined
    }
  }

  return {
    async latest(stream) {
      return unlessDamaged(({ select, forget }) => {
        const row = select.get(stream)
        if (!row) return undefined
        const snapshot = unseal(stream, Number(row['position']), row['sealed'] as Bytes)
        if (!snapshot) forget.run(stream)
        return snapshot
      })
    },
    async keep(stream, snapshot) {
      const sealed = seal(stream, snapshot)
      unlessDamaged(({ upsert }) => upsert.run(stream, snapshot.position, sealed))
    },
    async [Symbol.asyncDispose]() {
      if (tables.database.isOpen) tables.database.close()
    },
  }
}

type Tables = {
  readonly database: DatabaseSync
  readonly select: StatementSync
  readonly upsert: StatementSync
  readonly forget: StatementSync
}

const SCHEMA_VERSION = 1

function openAfresh(file: string): Tables {
  try {
    return openTables(file)
  } catch (cause) {
    if (!isDamage(cause) && !(cause instanceof OtherVersion)) throw cause
    remove(file)
    return openTables(file)
  }
}

function openTables(file: string): Tables {
  const database = new DatabaseSync(file, { timeout: 5000 })
  try {
    // A power cut may cost the last of them, never the order of the file.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    const version = schemaVersion(database)
    if (version !== 0 && version !== SCHEMA_VERSION) throw new OtherVersion(`version ${version}`)
    createTables(
      database,
      SCHEMA_VERSION,
      'CREATE TABLE IF NOT EXISTS snapshots (stream TEXT PRIMARY KEY, position INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT',
    )
    return {
      database,
      select: database.prepare('SELECT position, sealed FROM snapshots WHERE stream = ?'),
      upsert: database.prepare(
        `INSERT INTO snapshots (stream, position, sealed) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET position = excluded.position, sealed = excluded.sealed
         WHERE excluded.position > position`,
      ),
      forget: database.prepare('DELETE FROM snapshots WHERE stream = ?'),
    }
  } catch (cause) {
    database.close()
    throw cause
  }
}

class OtherVersion extends Error {
  override name = 'OtherVersion'
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, whatever their extended codes say. */
function isDamage(cause: unknown): boolean {
  const code = (cause as { readonly errcode?: number }).errcode
  return code !== undefined && [11, 26].includes(code & 0xff)
}

function remove(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}
