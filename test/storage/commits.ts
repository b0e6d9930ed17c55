import { readFile } from 'node:fs/promises'

/** Commits in a write-ahead log: frames whose header says how large the database is after them (sqlite.org/fileformat). */
export async function commitsIn(file: string): Promise<number> {
  const wal = await readFile(`${file}-wal`)
  // Nothing was written since the last who had it open closed it.
  if (wal.length === 0) return 0
  const frameBytes = 24 + wal.readUInt32BE(8)
  let commits = 0
  for (let at = 32; at < wal.length; at += frameBytes) if (wal.readUInt32BE(at + 4) !== 0) commits++
  return commits
}
