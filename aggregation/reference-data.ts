import { sha256 } from '#crypto'
import { concat, utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import {
  REFERENCE_CLASSES,
  REFERENCE_MODELS,
  REPETITION_ROWS,
  type ReferenceModel,
} from '#protocol/reference-models.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { genesisWeights } from './genesis.ts'
import { decodeLanes } from './vector.ts'

/** Rows that mean nothing, of as many values as the model takes, and a class of each. */
export type ReferenceRows = { readonly values: Float32Array; readonly labels: Int32Array }

/** The weights that every repetition of a measurement starts from. */
export function referenceWeights(model: ReferenceModel, seed: Bytes): Float32Array {
  return genesisWeights(REFERENCE_MODELS[model], seed)
}

/**
 * The rows of one repetition: values in [-1, 1), which are multiples of 2^-23 and so the same on every backend, and then
 * classes. By xoshiro128** (Blackman and Vigna 2018), not by the cipher that other seeds go through: a fast device would
 * else be measured by how fast its processor enciphers.
 */
export function referenceRows(model: ReferenceModel, seed: Bytes, repetition: number): ReferenceRows {
  const place = new Uint8Array(4)
  new DataView(place.buffer).setUint32(0, repetition)
  const next = xoshiro(sha256(concat(utf8('consilium/1 reference rows\0'), utf8(model), Uint8Array.of(0), seed, place)))
  const values = new Float32Array(REPETITION_ROWS * sizeOf({ shape: REFERENCE_MODELS[model].input }))
  for (let i = 0; i < values.length; i++) values[i] = (next() >>> 8) / 2 ** 23 - 1
  const labels = new Int32Array(REPETITION_ROWS)
  for (let i = 0; i < labels.length; i++) labels[i] = next() % REFERENCE_CLASSES
  return { values, labels }
}

/** @param state its first 16 bytes, little-endian */
function xoshiro(state: Bytes): () => number {
  let [a, b, c, d] = decodeLanes(state.subarray(0, 16)) as unknown as [number, number, number, number]
  return () => {
    const scaled = Math.imul(b, 5)
    const word = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return word
  }
}
