import { VerificationError } from './errors.ts'

/**
 * Content addresses without a library: CIDv1 in base32 over SHA-256, and the files of the UnixFS profile `unixfs-v1-2025`
 * (raw leaves of 1 MiB, 1,024 to a node), so that whoever downloads can tell whether it is what was named.
 */
const RAW = 0x55
const DAG_PB = 0x70
const LEAF_BYTES = 1024 * 1024
const WIDTH = 1024

export type Sha256 = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>

/** Throws {@link VerificationError} unless these bytes are the one block that the CID names, of any codec. */
export async function checkBlock(cid: string, block: Uint8Array<ArrayBuffer>, sha256: Sha256): Promise<void> {
  const [version, codec, hash, length, ...digest] = fromBase32(cid)
  const isOurs = version === 1 && codec !== undefined && hash === 0x12 && length === 32 && digest.length === 32
  const found = await sha256(block)
  if (!isOurs || digest.some((byte, at) => byte !== found[at]))
    throw new VerificationError(`what came is not the block ${cid}`)
}

/** The CID of a file: of its one block up to 1 MiB, of the tree over its leaves beyond. */
export async function fileCid(file: Uint8Array<ArrayBuffer>, sha256: Sha256): Promise<string> {
  let level: Part[] = []
  for (let at = 0; at === 0 || at < file.length; at += LEAF_BYTES) {
    const leaf = file.subarray(at, at + LEAF_BYTES)
    level.push({ cid: cidBytes(RAW, await sha256(leaf)), sizeBytes: leaf.length, weightBytes: leaf.length })
  }
  while (level.length > 1) {
    const above: Part[] = []
    for (let at = 0; at < level.length; at += WIDTH) above.push(await nodeOver(level.slice(at, at + WIDTH), sha256))
    level = above
  }
  return toBase32((level[0] as Part).cid)
}

/** @property weightBytes of all blocks from this one down */
type Part = { readonly cid: readonly number[]; readonly sizeBytes: number; readonly weightBytes: number }

/** A node as DAG-PB has it: first its links (field 2), then the sizes of its parts in UnixFS (field 1). */
async function nodeOver(parts: readonly Part[], sha256: Sha256): Promise<Part> {
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  const sizes = [0x08, 2, 0x18, ...varint(sizeBytes), ...parts.flatMap((part) => [0x20, ...varint(part.sizeBytes)])]
  const links = parts.flatMap(({ cid, weightBytes }) =>
    field(0x12, [...field(0x0a, cid), ...field(0x12, []), 0x18, ...varint(weightBytes)]),
  )
  const block = Uint8Array.from([...links, ...field(0x0a, sizes)])
  const weightBytes = parts.reduce((sum, part) => sum + part.weightBytes, block.length)
  return { cid: cidBytes(DAG_PB, await sha256(block)), sizeBytes, weightBytes }
}

function field(tag: number, bytes: readonly number[]): readonly number[] {
  return [tag, ...varint(bytes.length), ...bytes]
}

function varint(value: number): readonly number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest % 128) | 128)
  }
}

function cidBytes(codec: number, digest: Uint8Array): readonly number[] {
  return [1, codec, 0x12, digest.length, ...digest]
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567'

/** @returns with the `b` of multibase in front */
export function toBase32(bytes: readonly number[]): string {
  let text = 'b'
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    for (bits += 8; bits >= 5; bits -= 5) text += LETTERS[(held >>> (bits - 5)) & 31]
    held &= (1 << bits) - 1
  }
  return bits > 0 ? text + LETTERS[(held << (5 - bits)) & 31] : text
}

/** Nothing of what is no CID. */
function fromBase32(text: string): readonly number[] {
  if (!/^b[a-z2-7]{1,100}$/.test(text)) return []
  const bytes: number[] = []
  let bits = 0
  let held = 0
  for (const letter of text.slice(1)) {
    held = (held << 5) | LETTERS.indexOf(letter)
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes.push(held >>> bits)
    held &= (1 << bits) - 1
  }
  // One CID has one text.
  return toBase32(bytes) === text ? bytes : []
}
