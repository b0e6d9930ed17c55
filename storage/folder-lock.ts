import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

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
    throw new Error(`${folder} is in use by another process`, { cause })
  }
  return { [Symbol.dispose]: () => database.close() }
}
