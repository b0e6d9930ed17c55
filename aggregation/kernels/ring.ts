import type { Bytes } from '#protocol/ids.ts'
import { decodeLanes, LITTLE_ENDIAN, type RingVector } from '../vector.ts'
import { RING_BINARY } from './binary.ts'

/** A running sum in Z/2^32 of vectors that come in tiles, up to four vectors abreast. */
export interface RingSum {
  /** A place for the next piece of each of four vectors: TILE_BYTES, or the whole of a shorter one. Zeros for none. */
  readonly tiles: readonly Bytes[]
  /** Adds the first `sizeBytes` of all four tiles, which lie at `atBytes` of their vectors. Both are multiples of 16. */
  addTiles(atBytes: number, sizeBytes: number): void
  /** The sum so far, not a copy. */
  readonly lanes: RingVector
}

/** A piece of a vector, written by its owner, to which tiles are added and from which they are taken. */
export interface RingPiece extends RingSum {
  /** As `addTiles`, the other way. */
  subtractTiles(atBytes: number, sizeBytes: number): void
}

/** Four tiles stay in a core's second-level cache. assembly/ring.ts names the same number. */
export const TILE_BYTES = 65_536
export const TILES = 4

/** WebAssembly with SIMD where there is one, several times as fast; else JavaScript. Both give the same bits. */
export function ringSum(lanes: number): RingSum {
  // For less than a few tiles, a memory of its own costs more than it saves.
  const kernel = lanes * 4 > TILE_BYTES * TILES ? ringKernel() : undefined
  return kernel ? kernelSum(kernel, lanes) : scriptSum(lanes)
}

/** Likewise; the owner writes its lanes. */
export function ringPiece(lanes: number): RingPiece {
  const kernel = lanes * 4 > TILE_BYTES * TILES ? ringKernel() : undefined
  return kernel ? kernelPiece(kernel, lanes) : scriptSum(lanes)
}

/** What the kernel is held equal to, and the way without it. */
export function scriptSum(lanes: number): RingPiece {
  const sum = new Uint32Array(lanes)
  const tileBytes = Math.min(TILE_BYTES, sum.byteLength)
  const tiles = tilesIn(new ArrayBuffer(tileBytes * TILES), tileBytes)
  return {
    tiles,
    addTiles(atBytes, sizeBytes) {
      for (const tile of tiles) {
        const words = decodeLanes(tile.subarray(0, sizeBytes))
        const at = atBytes / 4
        for (let i = 0; i < words.length; i++) sum[at + i] = (sum[at + i] as number) + (words[i] as number)
      }
    },
    subtractTiles(atBytes, sizeBytes) {
      for (const tile of tiles) {
        const words = decodeLanes(tile.subarray(0, sizeBytes))
        const at = atBytes / 4
        for (let i = 0; i < words.length; i++) sum[at + i] = (sum[at + i] as number) - (words[i] as number)
      }
    },
    lanes: sum,
  }
}

/** What is used of WebAssembly, by types of our own: a kernel is none but the one that was compiled here. */
type Kernel = { readonly compiled: 'ring' }
type WebAssemblyApi = {
  validate(binary: Bytes): boolean
  readonly Module: new (binary: Bytes) => Kernel
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Instance: new (
    kernel: Kernel,
    imports: { readonly env: { readonly memory: object } },
  ) => { readonly exports: Pick<RingPiece, 'addTiles' | 'subtractTiles'> }
}
const api = (globalThis as unknown as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly

const PAGE_BYTES = 65_536

/** Tiles and lanes lie in the kernel's own memory: filling a tile is the only time that an update's bytes are copied. */
export function kernelPiece(kernel: Kernel, lanes: number): RingPiece {
  const { Memory, Instance } = api as WebAssemblyApi
  const memory = new Memory({ initial: Math.ceil((TILE_BYTES * TILES + lanes * 4) / PAGE_BYTES) })
  const { addTiles, subtractTiles } = new Instance(kernel, { env: { memory } }).exports
  const sum = new Uint32Array(memory.buffer, TILE_BYTES * TILES, lanes)
  return { tiles: tilesIn(memory.buffer, TILE_BYTES), addTiles, subtractTiles, lanes: sum }
}

export function kernelSum(kernel: Kernel, lanes: number): RingSum {
  const { tiles, addTiles, lanes: sum } = kernelPiece(kernel, lanes)
  let touchedBytes = 0
  return {
    tiles,
    addTiles(atBytes, sizeBytes) {
      // Fresh pages are written before they are read: read first, each would fault twice.
      if (atBytes >= touchedBytes) {
        sum.fill(0, atBytes / 4, (atBytes + sizeBytes) / 4)
        touchedBytes = atBytes + sizeBytes
      }
      addTiles(atBytes, sizeBytes)
    },
    lanes: sum,
  }
}

let compiled: Kernel | undefined

/** Undefined on a machine without SIMD, or of another byte order than WebAssembly's memory. */
export function ringKernel(): Kernel | undefined {
  if (compiled || !api || !LITTLE_ENDIAN) return compiled
  const binary = Uint8Array.from(atob(RING_BINARY), (letter) => letter.charCodeAt(0))
  if (api.validate(binary)) compiled = new api.Module(binary)
  return compiled
}

function tilesIn(buffer: ArrayBuffer, tileBytes: number): readonly Bytes[] {
  return Array.from({ length: TILES }, (_, index) => new Uint8Array(buffer, index * tileBytes, tileBytes))
}
