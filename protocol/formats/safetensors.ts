import { concat, utf8 } from '../bytes.ts'
import type { Bytes } from '../ids.ts'
import type { ModelManifest } from '../manifest.ts'
import { tensorBytes } from './weights-stream.ts'

/**
 * What comes before the weights file to make it a safetensors file: eight bytes that say how long the rest is, and the tensors
 * as JSON with spaces up to a multiple of eight. Its tensors lie one after another in the file's order, as ours do.
 *
 * @param metadata texts by name, for whoever looks
 */
export function safetensorsHeader(
  tensors: ModelManifest['tensors'],
  metadata: Readonly<Record<string, string>>,
): Bytes {
  let at = 0
  const entries = tensors.map(({ name, shape }) => {
    const begin = at
    at += tensorBytes(shape)
    return [name, { dtype: 'F32', shape, data_offsets: [begin, at] }] as const
  })
  const text = utf8(JSON.stringify(Object.fromEntries([['__metadata__', metadata], ...entries])))
  const size = Math.ceil(text.length / 8) * 8
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(size), true)
  return concat(length, text, new Uint8Array(size - text.length).fill(0x20))
}
