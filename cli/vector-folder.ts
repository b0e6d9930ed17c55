import { createReadStream } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { createSha256 } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { ROUNDS_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import type { VectorFinder } from '#verify/session.ts'
import { usage } from './arguments.ts'

/** What the longest run of the largest sessions has. */
const FILES_MAX = ROUNDS_MAX * SESSION_MEMBERS_MAX

/**
 * Masked vectors in a folder, found by their SHA-256: by a file's name where that is it, whatever its extension, else by
 * reading the files of that size. Nothing is believed: whoever reads a vector hashes it. Folders within are not searched.
 */
export async function openVectorFolder(folder: string): Promise<VectorFinder> {
  const paths: string[] = []
  for await (const entry of await opendir(folder)) {
    if (paths.length === FILES_MAX)
      throw usage('too_many_files', `${folder} holds more than ${FILES_MAX} files`, 'give a folder of masked vectors')
    paths.push(join(folder, entry.name))
  }
  const named = new Map(paths.map((path) => [parse(path).name.toLowerCase(), path]))
  const hashed = new Map<number, Promise<ReadonlyMap<string, string>>>()
  return async (sha256, sizeBytes) => {
    const name = toHex(sha256)
    const own = named.get(name)
    if (own && (await sizeOf(own)) === sizeBytes) return read(own)
    if (!hashed.has(sizeBytes)) hashed.set(sizeBytes, hashAll(paths, sizeBytes))
    const found = (await hashed.get(sizeBytes))?.get(name)
    return found === undefined ? undefined : read(found)
  }
}

async function hashAll(paths: readonly string[], sizeBytes: number): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const path of paths) {
    if ((await sizeOf(path)) !== sizeBytes) continue
    const hash = createSha256()
    for await (const piece of read(path)) hash.update(piece)
    found.set(toHex(hash.digest()), path)
  }
  return found
}

/** Of a file; of anything else nothing, so that no pipe or device is ever read. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? found.size : undefined
}

function read(path: string): AsyncIterable<Bytes> {
  return createReadStream(path, { highWaterMark: 2 ** 20 })
}
