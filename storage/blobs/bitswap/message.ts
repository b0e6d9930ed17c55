import { concat } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

/** What somebody wants to have, or wants no more. */
export type Want = {
  /** As it came: whoever asked gets the same bytes back. */
  readonly cid: Bytes
  readonly kind: 'block' | 'have' | 'cancel'
  /** Whether to say so when it is not here. */
  readonly orMissing: boolean
}

/** A message of Bitswap 1.2.0 (specs.ipfs.tech/bitswap-protocol), as far as it concerns us. */
export type Message = {
  readonly wants: readonly Want[]
  /** These wants are all there are: what was wanted before is wanted no more. */
  readonly full: boolean
  /** A block goes by the start of its CID (version, codec, hash, length): the receiver makes the rest itself. */
  readonly blocks: readonly { readonly prefix: Bytes; readonly bytes: Bytes }[]
  readonly presences: readonly { readonly cid: Bytes; readonly here: boolean }[]
}

export const NOTHING: Message = { wants: [], full: false, blocks: [], presences: [] }

/** Reads what a stranger sent. Fields that we do not know are passed over, as Protocol Buffers have it. */
export function decodeMessage(body: Bytes): Result<Message, 'bad-message'> {
  const [wants, blocks, presences]: [Want[], Message['blocks'][number][], Message['presences'][number][]] = [[], [], []]
  let full = false
  try {
    for (const { field, value } of fieldsOf(body)) {
      if (wants.length + blocks.length + presences.length > ENTRIES_MAX)
        throw new Malformed(`more than ${ENTRIES_MAX} entries`)
      if (field === 1)
        for (const part of fieldsOf(bytesOf(value))) {
          if (wants.length > ENTRIES_MAX) throw new Malformed(`more than ${ENTRIES_MAX} wants`)
          if (part.field === 1) wants.push(wantOf(bytesOf(part.value)))
          else if (part.field === 2) full = part.value !== 0
        }
      else if (field === 3) {
        const [prefix, bytes] = twoOf(value)
        blocks.push({ prefix: bytesOf(prefix), bytes: bytesOf(bytes) })
      } else if (field === 4) {
        const [cid, kind = 0] = twoOf(value)
        presences.push({ cid: cidBytes(cid), here: kind === 0 })
      }
    }
  } catch (cause) {
    if (cause instanceof Malformed) return refuse('bad-message', cause.message)
    throw cause
  }
  return accept({ wants, full, blocks, presences })
}

/** The message as it travels: its length, then itself. */
export function encodeMessage({ wants, full, blocks, presences }: Message): Bytes {
  const entries = wants.map(({ cid, kind, orMissing }) =>
    concat(
      ...field(1, [
        ...field(1, [cid]),
        // All of them are as dear to us: they are served in the order in which they come.
        scalar(2, 1),
        ...(kind === 'cancel' ? [scalar(3, 1)] : []),
        ...(kind === 'have' ? [scalar(4, 1)] : []),
        ...(orMissing ? [scalar(5, 1)] : []),
      ]),
    ),
  )
  const body = [
    ...(wants.length > 0 || full ? field(1, full ? [...entries, scalar(2, 1)] : entries) : []),
    ...blocks.flatMap(({ prefix, bytes }) => field(3, [...field(1, [prefix]), ...field(2, [bytes])])),
    ...presences.map(({ cid, here }) => concat(...field(4, [...field(1, [cid]), scalar(2, here ? 0 : 1)]))),
  ]
  return concat(varint(sizeOf(body)), ...body)
}

/** Above what any peer sends at once: Kubo's messages of wants are up to 512 KiB, and a want in them is some 40 bytes. */
const ENTRIES_MAX = 16_384
/** Twice the longest that are in use: a CIDv1 whose hash has 64 bytes. */
const CID_BYTES_MAX = 140

class Malformed extends Error {}

type Field = { readonly field: number; readonly value: number | Bytes }

function wantOf(entry: Bytes): Want {
  let [cid, cancel, have, orMissing]: [Bytes | undefined, boolean, boolean, boolean] = [undefined, false, false, false]
  for (const { field, value } of fieldsOf(entry)) {
    if (field === 1) cid = cidBytes(value)
    else if (field === 3) cancel = value !== 0
    else if (field === 4) have = value === 1
    else if (field === 5) orMissing = value !== 0
  }
  if (!cid) throw new Malformed('a want without a CID')
  return { cid, kind: cancel ? 'cancel' : have ? 'have' : 'block', orMissing }
}

/** Fields 1 and 2, the last of each. */
function twoOf(value: Field['value']): readonly [Field['value'] | undefined, Field['value'] | undefined] {
  let [first, second]: [Field['value'] | undefined, Field['value'] | undefined] = [undefined, undefined]
  for (const part of fieldsOf(bytesOf(value))) {
    if (part.field === 1) first = part.value
    else if (part.field === 2) second = part.value
  }
  return [first, second]
}

function bytesOf(value: Field['value'] | undefined): Bytes {
  // An empty field may be left out.
  if (value === undefined) return new Uint8Array(0)
  if (typeof value === 'number') throw new Malformed('a number in the place of bytes')
  return value
}

function cidBytes(value: Field['value'] | undefined): Bytes {
  const cid = bytesOf(value)
  if (cid.length > CID_BYTES_MAX) throw new Malformed(`a CID of ${cid.length} bytes`)
  return cid
}

/** Protocol Buffers, without a copy of what is in them. */
function* fieldsOf(bytes: Bytes): Iterable<Field> {
  let at = 0
  const number = (): number => {
    let value = 0
    for (let place = 0; place < 10; place++) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Malformed('it ends within a number')
      value += (byte & 0x7f) * 2 ** (7 * place)
      if (byte < 0x80) return value
    }
    throw new Malformed('a number of more than ten bytes')
  }
  const skip = (length: number): Bytes => {
    if (length > bytes.length - at) throw new Malformed('it ends within a field')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = number()
    const field = Math.floor(tag / 8)
    if (tag % 8 === 0) yield { field, value: number() }
    else if (tag % 8 === 1) skip(8)
    else if (tag % 8 === 2) yield { field, value: skip(number()) }
    else if (tag % 8 === 5) skip(4)
    else throw new Malformed(`a field of kind ${tag % 8}`)
  }
}

function field(number: number, content: readonly Bytes[]): readonly Bytes[] {
  return [varint(number * 8 + 2), varint(sizeOf(content)), ...content]
}

function scalar(number: number, value: number): Bytes {
  return concat(varint(number * 8), varint(value))
}

function varint(value: number): Bytes {
  const bytes: number[] = []
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80)
  return Uint8Array.of(...bytes, value)
}

function sizeOf(parts: readonly Bytes[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}
