import { toBase32 } from './cid.ts'
import { VerificationError } from './errors.ts'

/** A value of DAG-CBOR; a link is the text of its CID, bytes are bytes. */
export type Value = null | boolean | number | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value }

const DEPTH_MAX = 16
const TEXT = new TextDecoder('utf-8', { fatal: true })

/** Reads what manifests are made of: whole numbers, texts, bytes, links, lists and maps. Its hash has been checked before. */
export function decodeCbor(block: Uint8Array): Value {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  let at = 0
  const take = (length: number): Uint8Array => {
    if (length > block.length - at) throw new VerificationError('a manifest is cut off')
    at += length
    return block.subarray(at - length, at)
  }
  const argument = (low: number): number => {
    if (low < 24) return low
    const length = 2 ** (low - 24)
    if (length > 8) throw new VerificationError('a manifest holds what this cannot read')
    const start = at
    take(length)
    if (length === 1) return view.getUint8(start)
    if (length === 2) return view.getUint16(start)
    if (length === 4) return view.getUint32(start)
    return Number(view.getBigUint64(start))
  }
  const value = (depth: number): Value => {
    if (depth > DEPTH_MAX) throw new VerificationError('a manifest is nested too deep')
    const [first = 0] = take(1)
    const [major, low] = [first >> 5, first & 31]
    if (major === 7) {
      if (low === 20 || low === 21) return low === 21
      if (low === 22) return null
      throw new VerificationError('a manifest holds what this cannot read')
    }
    const size = argument(low)
    if (major === 0) return size
    if (major === 1) return -1 - size
    if (major === 2) return take(size)
    if (major === 3) return TEXT.decode(take(size))
    // Every item takes a byte: a list that says it is longer than the block is told before it is made.
    if (size > block.length && major !== 6) throw new VerificationError('a manifest is cut off')
    if (major === 4) return Array.from({ length: size }, () => value(depth + 1))
    if (major === 5) {
      const entries = Array.from({ length: size }, () => [String(value(depth + 1)), value(depth + 1)] as const)
      return Object.fromEntries(entries)
    }
    const link = value(depth + 1)
    if (size !== 42 || !(link instanceof Uint8Array) || link[0] !== 0)
      throw new VerificationError('a manifest holds what this cannot read')
    return toBase32([...link.subarray(1)])
  }
  return value(0)
}
