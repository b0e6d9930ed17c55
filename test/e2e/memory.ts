import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bytes } from '#protocol/ids.ts'

const PIECE_BYTES = 2 ** 22
/** No needle is longer: pieces overlap by this, so that none is missed where one piece ends. */
const NEEDLE_BYTES_MAX = 64
const REGION = /^([0-9a-f]+)-([0-9a-f]+) rw/

/** Bytes to be searched for, each under the name of what it would give away. */
export type Needles = ReadonlyMap<string, readonly Bytes[]>
export type Found = { readonly names: ReadonlySet<string>; readonly scannedBytes: number }

/** Linux shows a process's memory to who may trace it. @returns why this one's cannot be read, or undefined */
export async function whyUnreadable(pid: number): Promise<string | undefined> {
  try {
    for await (const _ of memoryOf(pid)) return undefined
    return 'it has no memory that can be written'
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** Everything that a process can write to: its heaps, its stacks and its buffers. Stop it first, so that nothing moves. */
async function* memoryOf(pid: number): AsyncIterable<Buffer> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8')
  await using memory = await open(`/proc/${pid}/mem`, 'r')
  const piece = Buffer.alloc(PIECE_BYTES)
  for (const line of maps.split('\n')) {
    const [, from, to] = REGION.exec(line) ?? []
    if (from === undefined || to === undefined) continue
    const end = Number.parseInt(to, 16)
    for (let at = Number.parseInt(from, 16); at < end; at += PIECE_BYTES - NEEDLE_BYTES_MAX) {
      // A region that went away, or that a device holds, has nothing of ours.
      const read = await memory.read(piece, 0, Math.min(PIECE_BYTES, end - at), at).catch(() => undefined)
      if (read) yield piece.subarray(0, read.bytesRead)
    }
  }
}

async function* filesUnder(folder: string): AsyncIterable<Buffer> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) yield readFile(join(entry.parentPath, entry.name))
}

async function scan(pieces: AsyncIterable<Buffer>, needles: Needles): Promise<Found> {
  const names = new Set<string>()
  let scannedBytes = 0
  for await (const piece of pieces) {
    scannedBytes += piece.length
    for (const [name, all] of needles)
      if (!names.has(name) && all.some((needle) => piece.includes(needle as Buffer))) names.add(name)
  }
  return { names, scannedBytes }
}

export function scanMemory(pid: number, needles: Needles): Promise<Found> {
  return scan(memoryOf(pid), needles)
}

export function scanFiles(folder: string, needles: Needles): Promise<Found> {
  return scan(filesUnder(folder), needles)
}
