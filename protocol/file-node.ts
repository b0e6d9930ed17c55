import { CID } from 'multiformats/cid'
import { concat } from './bytes.ts'
import { checkCid, codecOf, DAG_CBOR, DAG_PB } from './cid.ts'
import type { Block } from './envelope.ts'
import type { Bytes, Cid } from './ids.ts'
import { UNIXFS_WIDTH } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * The one block of UnixFS that files here are made of besides their leaves: a dag-pb node without a name or bytes of its own,
 * whose `Data` says how many bytes of the file are under each link. Nothing else of the format is read or written.
 */

/** A part of a file: a block's CID and the bytes of the file under it. */
export type Part = { readonly cid: Cid; readonly sizeBytes: number }

/** A part as its parent names it. `weightBytes` counts its blocks instead of the file's bytes. */
export type Link = { readonly cid: CID; readonly sizeBytes: number; readonly weightBytes: number }

/** Field numbers; each is followed by how it is written: 0 a number, 2 bytes with their length before them. */
const DATA = 1
const LINKS = 2
const HASH = 1
const NAME = 2
const TSIZE = 3
const TYPE = 1
const OWN_BYTES = 2
const FILE_SIZE = 3
const BLOCK_SIZE = 4
const FILE = 2

export function encodeFileNode(links: readonly Link[]): Bytes {
  const total = links.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const sizes = links.flatMap(({ sizeBytes }) => numberField(BLOCK_SIZE, sizeBytes))
  const data = [...numberField(TYPE, FILE), ...numberField(FILE_SIZE, total), ...sizes]
  return concat(
    ...links.flatMap(({ cid, weightBytes }) => {
      const link = concat(
        bytesField(HASH, cid.bytes),
        bytesField(NAME, NOTHING),
        Uint8Array.from(numberField(TSIZE, weightBytes)),
      )
      return [bytesField(LINKS, link)]
    }),
    bytesField(DATA, Uint8Array.from(data)),
  )
}

/** The parts that a block of a file names, in order; none for a leaf. */
export function partsOf(block: Block): Result<readonly Part[], 'not-a-file'> {
  if (codecOf(block.cid) !== DAG_PB) return accept([])
  try {
    const { links, data } = readNode(block.bytes)
    const sizes = sizesIn(data)
    if (links.length === 0 || links.length > UNIXFS_WIDTH) return refuse('not-a-file')
    if (sizes.length !== links.length) return refuse('not-a-file', 'sizes and links differ in number')
    const parts: Part[] = []
    for (const [index, link] of links.entries()) {
      const cid = checkCid(hashIn(link))
      if (!cid.ok || codecOf(cid.value) === DAG_CBOR) return refuse('not-a-file', 'a link that is not ours')
      parts.push({ cid: cid.value, sizeBytes: sizes[index] as number })
    }
    return accept(parts)
  } catch {
    return refuse('not-a-file', 'not UnixFS')
  }
}

/** Links and data each in one piece, whichever comes first; throws on what is not such a node, as do the two below. */
function readNode(bytes: Bytes): { readonly links: readonly Bytes[]; readonly data: Bytes } {
  const links: Bytes[] = []
  let data: Bytes | undefined
  let last = 0
  for (const { field, value } of fieldsOf(bytes)) {
    if (typeof value === 'number' || (field !== LINKS && field !== DATA)) throw new Malformed()
    const isAgain = field === LINKS ? last === DATA && links.length > 0 : data !== undefined
    if (isAgain) throw new Malformed()
    if (field === LINKS) links.push(value)
    else data = value
    last = field
  }
  if (data === undefined) throw new Malformed()
  return { links, data }
}

function hashIn(link: Bytes): CID {
  let hash: Bytes | undefined
  let last = 0
  for (const { field, value } of fieldsOf(link)) {
    if (field <= last || field > TSIZE || (typeof value === 'number') !== (field === TSIZE)) throw new Malformed()
    last = field
    if (field === HASH) hash = value as Bytes
  }
  return CID.decode(hash ?? NOTHING)
}

/** What else UnixFS says of a file, its mode and its times, is not looked at. */
function sizesIn(data: Bytes): readonly number[] {
  const sizes: number[] = []
  let type: unknown
  for (const { field, value } of fieldsOf(data)) {
    if (field === TYPE) type = value
    else if (field === OWN_BYTES && (value as Bytes).length !== 0) throw new Malformed()
    else if (field === BLOCK_SIZE) {
      if (typeof value !== 'number') throw new Malformed()
      sizes.push(value)
    }
  }
  if (type !== FILE) throw new Malformed()
  return sizes
}

class Malformed extends Error {}

type Field = { readonly field: number; readonly value: number | Bytes }

/** Of one message of protocol buffers. */
function* fieldsOf(bytes: Bytes): Iterable<Field> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Malformed()
      value += (byte & 127) * unit
      if (!Number.isSafeInteger(value)) throw new Malformed()
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const [field, kind] = [Math.floor(tag / 8), tag % 8]
    const value = varint()
    if (kind === 0) yield { field, value }
    else if (kind === 2 && at + value <= bytes.length) {
      yield { field, value: bytes.subarray(at, at + value) }
      at += value
    } else throw new Malformed()
  }
}

function bytesField(field: number, bytes: Bytes): Bytes {
  return concat(Uint8Array.from([field * 8 + 2, ...varintOf(bytes.length)]), bytes)
}

function numberField(field: number, value: number): number[] {
  return [field * 8, ...varintOf(value)]
}

function varintOf(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128)
  return [...bytes, left]
}

const NOTHING = new Uint8Array(0)
