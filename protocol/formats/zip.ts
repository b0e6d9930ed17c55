import { Zip, ZipPassThrough } from 'fflate'
import type { Bytes } from '../ids.ts'

export type ZipEntry = { readonly name: string; readonly content: AsyncIterable<Bytes> }

/** The first day that a ZIP can tell, in whatever zone: the same content is the same file. */
const FIRST_DAY = new Date(1980, 0, 1)

/**
 * A ZIP of stored entries as it streams: floats hardly deflate, and a reader may map what is stored. Lengths and checksums
 * come behind each entry, so none is held. An entry is read when the one before it has been.
 */
export async function* zipOf(entries: Iterable<ZipEntry>): AsyncIterable<Bytes> {
  const ready: Bytes[] = []
  const zip = new Zip((error, piece) => {
    if (error) throw error
    ready.push(piece as Bytes)
  })
  for (const { name, content } of entries) {
    const entry = new ZipPassThrough(entryName(name))
    entry.mtime = FIRST_DAY
    zip.add(entry)
    for await (const piece of content) {
      entry.push(piece)
      yield* ready.splice(0)
    }
    entry.push(new Uint8Array(0), true)
    yield* ready.splice(0)
  }
  zip.end()
  yield* ready.splice(0)
}

/**
 * Names of tensors are somebody's choice, and whoever unpacks a ZIP writes where its names point: one that could lead out of
 * a folder, or is none on some disk, is spelt in percents. No two names become one.
 */
function entryName(name: string): string {
  const plain = name.replace(/[%\\:*?"<>|\p{Cc}]/gu, (mark) => `%${hex(mark)}`)
  return plain
    .split('/')
    .map((part) => (/^\.*$/.test(part) ? `%${part === '' ? '00' : part.replaceAll('.', '2E')}` : part))
    .join('/')
}

function hex(mark: string): string {
  return (mark.codePointAt(0) as number).toString(16).toUpperCase().padStart(2, '0')
}
