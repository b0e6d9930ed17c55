import { assert } from '../assert.ts'
import { concat, utf8 } from '../bytes.ts'
import type { Bytes } from '../ids.ts'

export type ZipEntry = { readonly name: string; readonly content: AsyncIterable<Bytes> }

/** Records of a ZIP (APPNOTE 6.3.10, 4.3) by what they begin with. */
const LOCAL = 0x04034b50
const BEHIND = 0x08074b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
/** Version 2.0 reads it. */
const VERSION = 20
/** Length and checksum come behind what they are of; and the name is UTF-8, where that is not ASCII. */
const IS_STREAMED = 1 << 3
const IS_UTF8 = 1 << 11
/** The first day that a ZIP can tell, at midnight: the same content is the same file. */
const FIRST_DAY = (1 << 21) | (1 << 16)
/** Beyond this sizes and places have other records, which not every reader knows. */
const BYTES_MAX = 2 ** 32

/**
 * A ZIP of stored entries as it streams: floats hardly deflate, and a reader may map what is stored. Lengths and checksums
 * come behind each entry, so none is held. An entry is read when the one before it has been.
 */
export async function* zipOf(entries: Iterable<ZipEntry>): AsyncIterable<Bytes> {
  const directory: Bytes[] = []
  let at = 0
  for (const { name, content } of entries) {
    const path = utf8(entryName(name))
    const flags = IS_STREAMED | (path.some((byte) => byte > 127) ? IS_UTF8 : 0)
    const told = [short(VERSION), short(flags), short(0), long(FIRST_DAY)]
    const head = concat(long(LOCAL), ...told, new Uint8Array(12), short(path.length), short(0), path)
    yield head
    let [sum, size] = [SUM_OF_NOTHING, 0]
    for await (const piece of content) {
      sum = summed(sum, piece)
      size += piece.length
      yield piece
    }
    const measured = [long(~sum), long(size), long(size)]
    yield concat(long(BEHIND), ...measured)
    const more = concat(short(path.length), new Uint8Array(12), long(at), path)
    directory.push(concat(long(CENTRAL), short(VERSION), ...told, ...measured, more))
    at += head.length + size + 16
    assert(at < BYTES_MAX, 'a model fits a ZIP')
  }
  const central = concat(...directory)
  yield concat(central, long(END), long(0), short(directory.length), short(directory.length))
  yield concat(long(central.length), long(at), short(0))
}

function short(value: number): Bytes {
  return Uint8Array.of(value, value >>> 8)
}

function long(value: number): Bytes {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
}

/** CRC-32 of ISO 3309, a byte at a time. */
const SUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1
  return sum
})
const SUM_OF_NOTHING = -1

function summed(before: number, bytes: Bytes): number {
  let sum = before
  for (let at = 0; at < bytes.length; at++) sum = (SUMS[(sum ^ (bytes[at] as number)) & 0xff] as number) ^ (sum >>> 8)
  return sum
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
