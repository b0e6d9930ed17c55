import { mkdir, readdir, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCid } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { openCatalogue } from './catalogue.ts'
import { readUpTo, syncFolder } from './disk.ts'
import { blocksUnder } from './reading.ts'

/** Where the blocks of a folder that are files lie. */
export type Shelves = {
  /** The catalogue's file. */
  readonly catalogue: string
  /** Where uploads wait, and where damaged blocks are set aside. */
  readonly temp: string
  readonly damaged: string
  shardOf(cid: Cid): string
  pathOf(cid: Cid): string
}

export function shelvesIn(folder: string): Shelves {
  const at = (...names: readonly string[]) => join(folder, ...names)
  const shardOf = (cid: Cid) => at('blocks', nameOf(cid).at(-2) as string)
  return {
    ...{ catalogue: at('catalogue.sqlite'), temp: at('temp'), damaged: at('damaged'), shardOf },
    pathOf: (cid) => join(shardOf(cid), nameOf(cid)),
  }
}

/**
 * Makes a folder ready: the places there are, and nothing on them that no root reaches and no blob waits for, which is what
 * a crash leaves. Only for whoever is alone there: another process's upload would look the same.
 */
export async function makeReady(folder: string): Promise<void> {
  const shelves = shelvesIn(folder)
  const blocks = join(folder, 'blocks')
  using catalogue = openCatalogue(shelves.catalogue)
  await rm(shelves.temp, { recursive: true, force: true })
  await Promise.all([shelves.temp, shelves.damaged].map((path) => mkdir(path, { recursive: true })))
  await Promise.all([...SHARDS].map((letter) => mkdir(join(blocks, letter), { recursive: true })))
  await Promise.all([folder, blocks].map(syncFolder))
  const reached = new Set<string>([...catalogue.rootsInFiles(), ...catalogue.parts()])
  const load = async (cid: Cid) => catalogue.bytesOf(cid) ?? readUpTo(shelves.pathOf(cid), BLOCK_BYTES_MAX)
  for (const root of catalogue.trees()) for await (const cid of blocksUnder(root, load)) reached.add(cid)
  let usedBytes = catalogue.totalBytes()
  for (const letter of SHARDS) {
    const sizes = (await readdir(join(blocks, letter))).map(async (name) => {
      const path = join(blocks, letter, name)
      if (reached.has(name)) return (await stat(path)).size
      await unlink(path)
      return 0
    })
    for (const size of await Promise.all(sizes)) usedBytes += size
  }
  await catalogue.write(async (commit) => commit(undefined, usedBytes - catalogue.usedBytes()))
}

/** The second-last letter of a CID: the last one holds only three bits. */
const SHARDS = 'abcdefghijklmnopqrstuvwxyz234567'

/** A file's name is made from a CID only after it has been read as one: nothing else reaches the disk. */
export function nameOf(cid: Cid): Cid {
  const checked = parseCid(cid)
  if (!checked.ok) throw new TypeError(`not a CID: ${JSON.stringify(cid)}`)
  return checked.value
}
