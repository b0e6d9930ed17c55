import type { DatabaseSync } from 'node:sqlite'

/** What a file's `PRAGMA user_version` says: 0 of a new one. */
export function schemaVersion(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
}

/**
 * Makes what is missing of the tables in one transaction: nobody finds half of them, and the disk is waited for once, or not
 * at all where the file is of this version already.
 *
 * @param sql statements of which each does nothing where its work is done
 */
export function createTables(database: DatabaseSync, version: number, sql: string): void {
  if (schemaVersion(database) === version) return
  database.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${version}; COMMIT`)
}
