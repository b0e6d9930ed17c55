import { z } from 'zod'
import { shapeOf } from '../architecture.ts'
import { count } from '../codec.ts'
import type { Bytes } from '../ids.ts'
import { LAYERS_MAX, PARAMETERS_MAX } from '../limits.ts'
import { accept, type Result, refuse } from '../result.ts'
import { sizeOf } from '../shapes.ts'
import { firstOf, readJson } from './json.ts'
import type { Origin, Topology } from './topology.ts'

const FLOAT_BYTES = 4

const spec = z.looseObject({
  name: z.string().max(2000),
  shape: z.array(count(PARAMETERS_MAX)).max(6),
  dtype: z.literal('float32', 'only float32'),
  quantization: z.undefined('not quantised').optional(),
})
const manifest = z.looseObject({
  weightsManifest: z.array(z.looseObject({ weights: z.array(spec).max(LAYERS_MAX * 8) })).max(1000),
})

type WeightsRefusal = 'bad-manifest' | 'wrong-size' | 'missing-weight' | 'not-finite'

/**
 * The weights of a LayersModel in the order of our weights file.
 *
 * @param json the model.json, for its list of weights
 * @param files what lies in its files, one after another, in the order of that list
 */
export function weightsOf(
  { architecture, origins }: Topology,
  json: Bytes,
  files: Bytes,
): Result<Float32Array, WeightsRefusal> {
  const parsed = readJson(json)
  if (!parsed.ok) return refuse('bad-manifest', parsed.detail)
  const read = manifest.safeParse(parsed.value)
  if (!read.success) return refuse('bad-manifest', firstOf(read.error))
  const shape = shapeOf(architecture)
  if (!shape.ok) return refuse('bad-manifest', shape.detail)
  const places: Place[] = []
  let at = 0
  for (const { name, shape } of read.data.weightsManifest.flatMap(({ weights }) => weights)) {
    places.push({ path: name.replace(/:\d+$/, '').split('/'), shape, at })
    at += sizeOf({ shape }) * FLOAT_BYTES
  }
  if (at !== files.length) return refuse('wrong-size', `the list has ${at} bytes, the files ${files.length}`)
  const weights = new Float32Array(shape.value.parameters)
  const view = new DataView(files.buffer, files.byteOffset, files.byteLength)
  let to = 0
  for (const tensor of shape.value.tensors) {
    const origin = origins.get(tensor.name)
    const found = origin && places.filter((place) => isOf(place, origin))
    const [place] = found ?? []
    if (!place || found?.length !== 1 || String(place.shape) !== String(tensor.shape))
      return refuse('missing-weight', `${tensor.name}, of shape [${tensor.shape.join(', ')}]`)
    for (let index = 0; index < sizeOf(tensor); index++, to++)
      weights[to] = view.getFloat32(place.at + index * FLOAT_BYTES, true)
  }
  return weights.every(Number.isFinite) ? accept(weights) : refuse('not-finite', 'some weight is no number')
}

type Place = { readonly path: readonly string[]; readonly shape: readonly number[]; readonly at: number }

/** Keras puts cells and models around a layer's own name. */
function isOf({ path }: Place, { layer, part }: Origin): boolean {
  return path.at(-1) === part && path.slice(0, -1).includes(layer)
}
