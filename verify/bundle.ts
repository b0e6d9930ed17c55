import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import { type BundleForm, type BundleKind, kindOf, walkBundle } from '#protocol/bundle.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { carHeader, Unwalkable } from '#protocol/car.ts'
import { parseCid } from '#protocol/cid.ts'
import { linksOf } from '#protocol/codec.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, BUNDLE_BLOCKS_MAX } from '#protocol/limits.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { BadBlock, type BlockSource, checkBlock } from './blocks.ts'

/** A file that can be read anywhere. `read` answers fewer bytes only where the file ends. */
export type BundleFile = {
  readonly sizeBytes: number
  read(offset: number, lengthBytes: number): Promise<Bytes>
}

export type Bundle = {
  readonly root: Cid
  readonly kind: BundleKind
  /** Of one that names no vectors, that it has them all. */
  readonly form: BundleForm
  readonly block: BlockSource
  /** In the file's order, with the bytes of each. */
  cids(): Iterable<readonly [Cid, number]>
  /** How many, and their bytes. */
  readonly blocks: number
  readonly bytes: number
}

type Place = { readonly offset: number; readonly lengthBytes: number }

/** A CARv1 header with one CIDv1 of SHA-256; the bytes of such a CID; the length before it, up to 1 MiB, as a varint. */
const HEADER_BYTES = 59
const CID_BYTES = 36
const LENGTH_BYTES_MAX = 3

/** The first bytes of every CARv2: the header `{version: 2}` with its length. */
const CAR_V2_PRAGMA = Uint8Array.of(10, 0xa1, 0x67, ...new TextEncoder().encode('version'), 2)

/** Thrown through the walk, caught around it. */
class BadSection extends Error {
  override name = 'BadSection'
}

/**
 * Opens a bundle, with its vectors or without them. There is no parser apart from the walk: the walk from the root says which block comes next, and the next
 * section of the file must be that block. So a block that is missing, repeated, unreachable or out of order, another
 * encoding of a length, and a byte too many all fail here; every block is hashed. Which form it has shows at the first
 * vector, and holds for all of them. Holds an index, never the blocks.
 */
export async function readBundle(file: BundleFile): Promise<Result<Bundle, 'container' | 'block'>> {
  const header = await file.read(0, HEADER_BYTES)
  if (equalBytes(header.subarray(0, CAR_V2_PRAGMA.length), CAR_V2_PRAGMA))
    return refuse('container', 'a CARv2: a bundle is the CARv1 that is within, without index or padding')
  const root = rootOf(header)
  if (root === undefined) return refuse('container', 'the file does not start as a CARv1 with one root')
  const places = new Map<Cid, Place>()
  let kind: BundleKind = 'other'
  let vectors: boolean | undefined
  let at = HEADER_BYTES
  let total = 0
  const next = async (cid: Cid): Promise<Bytes> => {
    const place = await sectionAt(file, at, cid)
    const bytes = checkBlock(cid, await file.read(place.offset, place.lengthBytes))
    if (places.size === BUNDLE_BLOCKS_MAX) throw new BadSection(`more than ${BUNDLE_BLOCKS_MAX} blocks`)
    if (cid === root) kind = kindOf({ cid, bytes })
    places.set(cid, place)
    at = place.offset + place.lengthBytes
    total += bytes.length
    return bytes
  }
  const takesVector = async (vector: Cid): Promise<boolean> => {
    vectors ??= await isSectionOf(file, at, vector)
    return vectors
  }
  try {
    for await (const _ of walkBundle(root, next, takesVector));
  } catch (cause) {
    if (cause instanceof BadSection || cause instanceof Unwalkable) return refuse('container', cause.message)
    if (cause instanceof BadBlock) return refuse('block', cause.message)
    throw cause
  }
  if (at !== file.sizeBytes) return refuse('container', `${file.sizeBytes - at} bytes after the last block`)
  const block = async (cid: Cid) => {
    const place = places.get(cid)
    return place && file.read(place.offset, place.lengthBytes)
  }
  return accept({
    ...{ root, kind, form: { vectors: vectors ?? true }, block },
    *cids() {
      for (const [cid, { lengthBytes }] of places) yield [cid, lengthBytes] as const
    },
    ...{ blocks: places.size, bytes: total },
  })
}

/** A bundle in memory. */
export function fileOf(bytes: Bytes): BundleFile {
  return { sizeBytes: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) }
}

/** The root that a header names, when the header is the very one that we write for it. */
function rootOf(header: Bytes): Cid | undefined {
  try {
    const root = parseCid(linksOf(header.subarray(1))[0] ?? '')
    return root.ok && equalBytes(carHeader(root.value), header) ? root.value : undefined
  } catch {
    return undefined
  }
}

/** Whether the section that starts at `at` is said to be this block. */
async function isSectionOf(file: BundleFile, at: number, cid: Cid): Promise<boolean> {
  const start = await file.read(at, LENGTH_BYTES_MAX + CID_BYTES)
  const length = lengthOf(start)
  return length !== undefined && isNamed(start.subarray(length.bytes), cid)
}

function isNamed(section: Bytes, cid: Cid): boolean {
  return parseCid(cid).ok && equalBytes(section.subarray(0, CID_BYTES), CID.parse(cid).bytes)
}

/** Where the bytes of the block are, in the section that starts at `at` and must be this block's. */
async function sectionAt(file: BundleFile, at: number, cid: Cid): Promise<Place> {
  const start = await file.read(at, LENGTH_BYTES_MAX + CID_BYTES)
  const length = lengthOf(start)
  if (length === undefined) throw new BadSection(`no section of at most 1 MiB at byte ${at}`)
  if (!isNamed(start.subarray(length.bytes), cid))
    throw new BadSection(`the section at byte ${at} is not the next block, ${cid}`)
  const place = { offset: at + length.bytes + CID_BYTES, lengthBytes: length.value - CID_BYTES }
  if (place.offset + place.lengthBytes > file.sizeBytes) throw new BadSection(`the file ends within ${cid}`)
  return place
}

/** The varint at the start: minimal, and of a section that holds a CID and at most a block. */
function lengthOf(start: Bytes): { readonly value: number; readonly bytes: number } | undefined {
  try {
    const [value, bytes] = varint.decode(start.subarray(0, LENGTH_BYTES_MAX))
    return value >= CID_BYTES && value <= CID_BYTES + BLOCK_BYTES_MAX ? { value, bytes } : undefined
  } catch {
    return undefined
  }
}
