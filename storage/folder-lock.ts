import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Millis } from '#protocol/ids.ts'
import { isBusy } from './blobs/disk.ts'
import { systemClock } from './clock.ts'

/**
 * One process at a time in a folder. Node has no flock, so SQLite holds the lock: the system frees it when the process
 * ends, however it ends, and a second holder is refused even within one process. Throws when somebody has it.
 */
export function lockFolder(folder: string): Disposable {
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    throw inUse(folder, cause)
  }
  return { [Symbol.dispose]: () => database.close() }
}

/** Longer than it takes to prepare the largest folder; whoever holds it for itself alone does so for longer. */
const PREPARED_MILLIS_MAX: Millis = 30_000
const LOOK_MILLIS: Millis = 20

/**
 * A place in a folder that several processes of one machine share, and none has for itself.
 *
 * @param prepare what may only be done while nobody else is there: whoever comes first does it, and the others wait
 */
export async function shareFolder(folder: string, prepare: () => Promise<void> = async () => {}): Promise<Disposable> {
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
  try {
    if (takes(database, 'BEGIN EXCLUSIVE')) {
      await prepare()
      database.exec('COMMIT')
    }
    // A read that stays open keeps out whoever wants the folder alone, and nobody else.
    const until = systemClock.now() + PREPARED_MILLIS_MAX
    while (!takes(database, 'BEGIN; SELECT count(*) FROM sqlite_master')) {
      if (systemClock.now() > until) throw inUse(folder)
      await systemClock.wakeAt(systemClock.now() + LOOK_MILLIS, new AbortController().signal)
    }
  } catch (cause) {
    database.close()
    throw cause
  }
  return { [Symbol.dispose]: () => database.close() }
}

/** @returns false where others are in the way */
function takes(database: DatabaseSync, lock: string): boolean {
  try {
    database.exec(lock)
    return true
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK')
    if (isBusy(cause)) return false
    throw cause
  }
}

function inUse(folder: string, cause?: unknown): Error {
  return Object.assign(new Error(`${folder} is in use by another process`, { cause }), { code: 'FOLDER_IN_USE' })
}
