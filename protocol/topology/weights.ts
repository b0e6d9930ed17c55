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
  const taken = new Set<Place>()
  const models = new Set([...origins.values()].flatMap(({ within }) => within))
  const view = new DataView(files.buffer, files.byteOffset, files.byteLength)
  let to = 0
  for (const tensor of shape.value.tensors) {
    const origin = origins.get(tensor.name)
    const place = origin && placeOf(places, origin, models)
    const shape = origin?.shape ?? tensor.shape
    if (!place || taken.has(place) || String(place.shape) !== String(shape))
      return refuse('missing-weight', `${tensor.name}, of shape [${shape.join(', ')}]`)
    taken.add(place)
    for (let index = 0; index < sizeOf(tensor); index++, to++)
      weights[to] = view.getFloat32(place.at + index * FLOAT_BYTES, true)
  }
  return weights.every(Number.isFinite) ? accept(weights) : refuse('not-finite', 'some weight is no number')
}

type Place = { readonly path: readonly string[]; readonly shape: readonly number[]; readonly at: number }

/**
 * The one place that a tensor can be from; undefined where there is none, or more than one. Models may have layers of one name:
 * the nearest is in no other model than its layer, in most of these, and has fewest names besides.
 *
 * @param models whatever any layer is in
 */
function placeOf(places: readonly Place[], origin: Origin, models: ReadonlySet<string>): Place | undefined {
  const around = new Set(origin.within)
  const count = ({ path }: Place, isSo: (name: string) => boolean) => path.slice(0, -1).filter(isSo).length
  const ranked = places
    .filter((place) => isOf(place, origin))
    .map((place) => {
      const others = count(place, (name) => models.has(name) && !around.has(name) && name !== origin.layer)
      return { place, far: [others, -count(place, (name) => around.has(name)), place.path.length] }
    })
    .sort((a, b) => compare(a.far, b.far))
  const [first, second] = ranked
  return first && (!second || compare(first.far, second.far) < 0) ? first.place : undefined
}

function compare(a: readonly number[], b: readonly number[]): number {
  return a.map((each, at) => each - (b[at] as number)).find((difference) => difference !== 0) ?? 0
}

/** Keras puts cells and models around a layer's own name. */
function isOf({ path }: Place, { layer, part }: Origin): boolean {
  return path.at(-1) === part && path.slice(0, -1).includes(layer)
}
