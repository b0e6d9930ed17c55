import type { Bytes, Cid } from '#protocol/ids.ts'
import type { ModelManifest } from '#protocol/manifest.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Tensor } from '#protocol/shapes.ts'
import { LITTLE_ENDIAN } from './vector.ts'

/** The weights file: float32 little-endian, tensor after tensor. Shares memory where the machine is little-endian. */
export function encodeWeights(weights: Float32Array): Bytes {
  if (LITTLE_ENDIAN) return new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength)
  const out = new DataView(new ArrayBuffer(weights.byteLength))
  for (const [index, weight] of weights.entries()) out.setFloat32(index * 4, weight, true)
  return new Uint8Array(out.buffer)
}

/** A copy: the bytes may belong to a store, and a trainer writes into its weights. */
export function decodeWeights(bytes: Bytes, parameters: number): Result<Float32Array, 'wrong-length' | 'not-finite'> {
  if (bytes.length !== parameters * 4)
    return refuse('wrong-length', `${bytes.length} bytes for ${parameters} parameters of 4`)
  const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const weights = new Float32Array(parameters)
  for (let i = 0; i < parameters; i++) {
    const weight = from.getFloat32(i * 4, true)
    if (!Number.isFinite(weight)) return refuse('not-finite', `parameter ${i} is ${weight}`)
    weights[i] = weight
  }
  return accept(weights)
}

export function modelManifestOf(architecture: Cid, tensors: readonly Tensor[], weights: Cid): ModelManifest {
  return { architecture, tensors: tensors.map(({ name, shape, role }) => ({ name, shape, role })), weights }
}
