import { assert } from './assert.ts'
import { concat } from './bytes.ts'
import type { Bytes } from './ids.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * One file of float32 by another of the same length that it was made from, as a model by its parent. A sum of updates in the
 * ring moves each weight by whole steps of one unit, and then it is rounded: so a weight is told by its steps, and by what
 * they do not explain, as floats are counted in their order. Both are small numbers, of which byte by byte like stands with
 * like, so that deflate finds little in most of it. It is exact for any bytes, and short where the grid is the right one.
 *
 *     difference   unit ‖ offset, float64 little-endian ‖ planes(steps) ‖ planes(rest)
 *     planes(x)    byte 0 of every zigzag(xᵢ), then byte 1 of every, byte 2, byte 3
 *     guessᵢ       fround( parentᵢ + fround( offset + stepᵢ · unit ) ), and parentᵢ where that is not finite
 *     nextᵢ        the float that is restᵢ floats above guessᵢ
 */
export function differenceOf({ parent, next, grid }: Pair): Bytes {
  assert(isPairable(parent, next), 'both are as many floats')
  const count = next.length / 4
  const [from, to] = [viewOf(parent), viewOf(next)]
  const out = new Uint8Array(HEADER_BYTES + 2 * next.length)
  const header = viewOf(out)
  header.setFloat64(0, grid.unit, true)
  header.setFloat64(8, grid.offset, true)
  const [steps, rest] = planesOf(out, count)
  for (let index = 0; index < count; index++) {
    const at = 4 * index
    const moved = to.getFloat32(at, true) - from.getFloat32(at, true)
    const nearest = Math.round((moved - grid.offset) / grid.unit)
    // Whole, and never minus nothing, as which it would not be read.
    const step = Math.abs(nearest) <= STEPS_MAX ? nearest | 0 : 0
    spread(steps, count, index, zigzag(step))
    spread(rest, count, index, zigzag((ordered(to.getInt32(at, true)) - ordered(guessAt(from, at, step, grid))) | 0))
  }
  return out
}

/** What the difference makes of the parent. Whether it is what was asked for, its hash says. */
export function applyDifference(parent: Bytes, difference: Bytes): Result<Bytes, 'bad-difference'> {
  if (difference.length !== differenceBytesOf(parent.length) || parent.length % 4 !== 0)
    return refuse('bad-difference', `${difference.length} bytes about ${parent.length}`)
  const count = parent.length / 4
  const header = viewOf(difference)
  const grid = { unit: header.getFloat64(0, true), offset: header.getFloat64(8, true) }
  const from = viewOf(parent)
  const made = new Uint8Array(parent.length)
  const to = viewOf(made)
  const [steps, rest] = planesOf(difference, count)
  for (let index = 0; index < count; index++) {
    const at = 4 * index
    const guess = guessAt(from, at, unzigzag(gathered(steps, count, index)), grid)
    to.setInt32(at, ordered((ordered(guess) + unzigzag(gathered(rest, count, index))) | 0), true)
  }
  return accept(made)
}

/** The same of a difference as it travels: deflated (RFC 1951). No more is inflated than the parent's length allows. */
export async function applyDeflated(parent: Bytes, deflated: Bytes): Promise<Result<Bytes, 'bad-difference'>> {
  const limitBytes = differenceBytesOf(parent.length)
  const pieces: Bytes[] = []
  let length = 0
  const stream = new DecompressionStream('deflate-raw')
  const writer = stream.writable.getWriter()
  // What is wrong with the bytes, the reader hears as well.
  const written = writer.write(deflated as Uint8Array<ArrayBuffer>).then(() => writer.close())
  written.catch(() => undefined)
  const reader = stream.readable.getReader()
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      length += piece.value.length
      if (length > limitBytes) return refuse('bad-difference', `it inflates to more than ${limitBytes} bytes`)
      pieces.push(piece.value)
    }
  } catch {
    return refuse('bad-difference', 'it does not inflate')
  } finally {
    reader.cancel().catch(() => undefined)
  }
  return applyDifference(parent, concat(...pieces))
}

/** Whether one can be told by the other. */
export function isPairable(parent: Bytes, next: Bytes): boolean {
  return parent.length === next.length && next.length % 4 === 0 && next.length > 0
}

type Pair = { readonly parent: Bytes; readonly next: Bytes; readonly grid: Grid }

/** By what weights move: `offset`, and any number of times `unit`. */
export type Grid = { readonly unit: number; readonly offset: number }

/** Where none is known: then all is rest. */
export const NO_GRID: Grid = { unit: 0, offset: 0 }

const scratch = new DataView(new ArrayBuffer(4))

/** As FedAvg moves a weight: the move is rounded to float32, and then the sum. What is no number has any engine's own bits. */
function guessAt(parent: DataView, at: number, step: number, { unit, offset }: Grid): number {
  const guess = Math.fround(parent.getFloat32(at, true) + Math.fround(offset + step * unit))
  if (!Number.isFinite(guess)) return parent.getInt32(at, true)
  scratch.setFloat32(0, guess)
  return scratch.getInt32(0)
}

const HEADER_BYTES = 16
/** A zigzag of it still has 32 bits. */
const STEPS_MAX = 2 ** 30

function differenceBytesOf(length: number): number {
  return HEADER_BYTES + 2 * length
}

/** Bits of floats as integers in the floats' own order, and back: it is its own inverse. */
function ordered(bits: number): number {
  return bits < 0 ? bits ^ 0x7fffffff : bits
}

function zigzag(value: number): number {
  return (value << 1) ^ (value >> 31)
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}

function viewOf(bytes: Bytes): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function planesOf(difference: Bytes, count: number): readonly [Bytes, Bytes] {
  const middle = HEADER_BYTES + 4 * count
  return [difference.subarray(HEADER_BYTES, middle), difference.subarray(middle, middle + 4 * count)]
}

function spread(planes: Bytes, count: number, index: number, value: number): void {
  planes[index] = value
  planes[count + index] = value >>> 8
  planes[2 * count + index] = value >>> 16
  planes[3 * count + index] = value >>> 24
}

function gathered(planes: Bytes, count: number, index: number): number {
  const byte = (plane: number) => planes[plane * count + index] as number
  return byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)
}
