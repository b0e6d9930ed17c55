import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { type DecodeRefusal, decode, encode } from '#protocol/codec.ts'
import { ATTACHED_EXTRA_BYTES, type Block } from '#protocol/envelope.ts'
import type { Bytes } from '#protocol/ids.ts'
import { ATTACHED_BYTES_MAX, BLOCK_BYTES_MAX, PARCEL_PARTS_MAX } from '#protocol/limits.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { MEMBERS_MAX, type Parcel, parcelSchema } from './messages.ts'

/**
 * A parcel on its way: boxes go to their addressee only (R16), so they travel within the signed frames of the link, never
 * as blobs that anyone could ask for. A parcel of a large session is more than a frame holds and goes in parts, in order.
 */

/**
 * @param besideBytes what is attached to the first frame beside its part: each block's bytes and `ATTACHED_EXTRA_BYTES`
 */
export function partsOf(parcel: Parcel, besideBytes: number): readonly Block[] {
  const parts: Parcel[] = []
  let [open, left] = [{ boxes: [], maskCts: [] } as Open, roomOf(besideBytes)]
  const put = <K extends keyof Open>(kind: K, item: Open[K][number]) => {
    const size = sizeOf({ boxes: [], maskCts: [], [kind]: [item] }) - EMPTY_BYTES
    if (size > left) {
      parts.push(open)
      ;[open, left] = [{ boxes: [], maskCts: [] }, roomOf(0)]
    }
    ;(open[kind] as Open[K][number][]).push(item)
    left -= size
  }
  for (const box of parcel.boxes) put('boxes', box)
  for (const maskCt of parcel.maskCts) put('maskCts', maskCt)
  return [...parts, open].map((part) => {
    const bytes = encode(parcelSchema, part)
    return { cid: cidOf(DAG_CBOR, bytes), bytes }
  })
}

/** The parcel of all parts, in their order. What is in it has been checked for its shape and bounds alone. */
export function joinParts(parts: readonly Bytes[]): Result<Parcel, DecodeRefusal> {
  if (parts.length > PARCEL_PARTS_MAX) return refuse('too-large', `${parts.length} parts`)
  const read: Parcel[] = []
  for (const part of parts) {
    const one = decode(parcelSchema, part, BLOCK_BYTES_MAX)
    if (!one.ok) return one
    read.push(one.value)
  }
  const boxes = read.flatMap((part) => part.boxes)
  const maskCts = read.flatMap((part) => part.maskCts)
  if (Math.max(boxes.length, maskCts.length) > MEMBERS_MAX) return refuse('too-large', 'more than all members sent')
  return accept({ boxes, maskCts })
}

type Open = { readonly boxes: Parcel['boxes'][number][]; readonly maskCts: Parcel['maskCts'][number][] }

/** A list's head grows by up to two bytes as it fills. */
const GROWTH_BYTES = 8
const EMPTY_BYTES = sizeOf({ boxes: [], maskCts: [] })

function roomOf(besideBytes: number): number {
  return ATTACHED_BYTES_MAX - ATTACHED_EXTRA_BYTES - EMPTY_BYTES - GROWTH_BYTES - besideBytes
}

function sizeOf(parcel: Parcel): number {
  return encode(parcelSchema, parcel).length
}
