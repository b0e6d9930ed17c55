import { z } from 'zod'
import { type Architecture, INPUT, shapeOf } from '../architecture.ts'
import { architectureSchema } from '../architecture-schema.ts'
import type { Bytes } from '../ids.ts'
import type { Layer } from '../layers.ts'
import { takesLogits } from '../logits.ts'
import { accept, type Result, refuse } from '../result.ts'
import { infer, sizeOf } from '../shapes.ts'
import type { Loss } from '../task.ts'
import { convertLayer } from './classes.ts'
import { firstOf, type JsonRefusal, readModel } from './json.ts'
import { type FlatGraph, type FlatLayer, flatten } from './nesting.ts'

/** A model that was built with Keras or TF.js, in our language. */
export type Topology = {
  readonly architecture: Architecture
  /** What is done otherwise than the file says, for whoever brings it. */
  readonly notes: readonly string[]
  /** Where the file's weights have each of our tensors. */
  readonly origins: ReadonlyMap<string, Origin>
}
/** The layer there, the models that it is in, the outermost first, and the last part of the weight's name. */
export type Origin = {
  readonly layer: string
  readonly within: readonly string[]
  readonly part: string
  /** Where it is not ours: of the same values in the same order. */
  readonly shape?: readonly number[] | undefined
}

export type TopologyRefusal = JsonRefusal | 'unsupported-layer' | 'unsupported-option' | 'bad-shape'

/**
 * Reads a LayersModel's topology (TF.js) or a Keras model's, Sequential or functional, models within it laid out flat. The file is anybody's: it is bounded,
 * nothing in it is run or fetched, and what is not in our language is refused by the layer's name, with a way out.
 *
 * @param loss that it is to be trained by: where that takes logits, a last softmax or sigmoid is left out
 */
export function architectureOf(json: Bytes, loss: Loss = 'softmax-cross-entropy'): Result<Topology, TopologyRefusal> {
  const read = readModel(json)
  if (!read.ok) return read
  const notes: string[] = []
  if (read.value.hasWeights) notes.push('its weights are not read from where the file says: give them beside it')
  const graph = flatten(read.value)
  if (!graph.ok) return graph
  const ordered = inOrder(graph.value)
  if (!ordered.ok) return ordered
  const inputs = inputsOf(graph.value)
  if (!inputs.ok) return inputs
  const built = build(ordered.value, inputs.value)
  if (!built.ok) return built
  const layers = takesLogits(loss) ? withoutLast(built.value.layers, notes) : built.value.layers
  const isOdd = layers.some((layer) => 'activation' in layer && layer.activation === 'hardSigmoid')
  // What a model says of itself has the version in a file alone; Keras 3 calls an input's sides by a name of its own.
  const isKeras3 = read.value.isKeras3 || graph.value.layers.some(({ config }) => config['batch_shape'] !== undefined)
  if (isKeras3 && isOdd)
    return refuse('unsupported-option', 'hard_sigmoid is another function in Keras 3: take another')
  const architecture = architectureSchema.safeParse({ v: 1, input: inputs.value.input, layers })
  if (!architecture.success) return refuse('unsupported-model', firstOf(architecture.error))
  const shape = shapeOf(architecture.data)
  if (!shape.ok) return refuse('bad-shape', `${shape.refusal}: ${shape.detail ?? ''}`)
  notes.push('its initialisers are left out: weights start from the task, or are given')
  return accept({ architecture: architecture.data, notes, origins: built.value.origins })
}

const sides = z.union([
  z.tuple([z.null()], z.int().min(1).max(1_000_000)),
  z.tuple([z.literal(1)], z.int().min(1).max(1_000_000)),
])

type Inputs = {
  readonly input: readonly number[]
  /** Parts of the one row that several inputs are. */
  readonly parts: readonly Layer[]
  /** What our layers call what Keras calls by another name. */
  readonly names: ReadonlyMap<string, string>
}

function inputsOf({ layers, inputs }: FlatGraph): Result<Inputs, TopologyRefusal> {
  const shapes: (readonly number[])[] = []
  for (const name of inputs) {
    const layer = layers.find((each) => each.name === name)
    const told = layer?.config['batch_input_shape'] ?? layer?.config['batch_shape']
    const read = sides.safeParse(told)
    if (!layer || !read.success || read.data.length < 2)
      return refuse('bad-shape', `the input ${shown(name)} has one to three sides, all of them told: fix their lengths`)
    shapes.push(read.data.slice(1) as number[])
  }
  const [first] = shapes
  if (!first) return refuse('unsupported-model', 'nothing is put in')
  if (shapes.length === 1) return accept({ input: first, parts: [], names: new Map([[inputs[0] as string, INPUT]]) })
  let offset = 0
  const parts = shapes.map((shape, index): Layer => {
    const at = offset
    offset += sizeOf({ shape })
    return { layer: 'part', name: inputs[index] as string, from: [INPUT], offset: at, shape: [...shape] }
  })
  return accept({ input: [offset], parts, names: new Map() })
}

/** Each after all that it takes from. */
function inOrder({ layers, outputs }: FlatGraph): Result<readonly FlatLayer[], TopologyRefusal> {
  if (outputs.length !== 1) return refuse('unsupported-model', `it puts out ${outputs.length} things: one is trained`)
  const known = new Set<string>()
  for (const { name } of layers) {
    if (known.has(name)) return refuse('unsupported-model', `two layers are called ${name}`)
    known.add(name)
  }
  const done = new Set<string>()
  const ordered: FlatLayer[] = []
  for (let before = -1; ordered.length > before && ordered.length < layers.length; ) {
    before = ordered.length
    for (const layer of layers) {
      if (done.has(layer.name) || !layer.from.every((source) => done.has(source))) continue
      done.add(layer.name)
      ordered.push(layer)
    }
  }
  if (ordered.length < layers.length) return refuse('unsupported-model', 'some layer takes what is not there')
  if (ordered.at(-1)?.name !== outputs[0]) {
    // What comes after the output is loose, or was told later than it need be.
    const [out] = outputs as [string]
    const last = ordered.findIndex(({ name }) => name === out)
    if (last < 0) return refuse('unsupported-model', `no layer is called ${out}`)
    return accept([...ordered.slice(0, last), ...ordered.slice(last + 1), ordered[last] as FlatLayer])
  }
  return accept(ordered)
}

type Built = { readonly layers: readonly Layer[]; readonly origins: ReadonlyMap<string, Origin> }

function build(raw: readonly FlatLayer[], { input, parts, names }: Inputs): Result<Built, TopologyRefusal> {
  const shapes = new Map<string, readonly number[]>([[INPUT, input]])
  for (const part of parts) if (part.layer === 'part') shapes.set(part.name, part.shape)
  const layers: Layer[] = [...parts]
  const origins = new Map<string, Origin>()
  for (const { kind, name, config, from, own, within } of raw) {
    if (kind === 'InputLayer') continue
    if (from.length === 0) return refuse('unsupported-model', `${name} takes from nothing`)
    const sources = from.map((source) => names.get(source) ?? source)
    const given = sources.map((source) => shapes.get(source))
    if (!given.every((shape) => shape !== undefined))
      return refuse('unsupported-model', `${name} takes what is not put in`)
    const converted = convertLayer(kind, config, { name, from: given, sources })
    if (!converted.ok) return converted
    for (const { layer, kernel, inner, shapes: others } of converted.value) {
      const placed = layer.from || isNext(sources, layers) ? layer : { ...layer, from: sources }
      const takes = layer.from ? layer.from.map((source) => shapes.get(source) as readonly number[]) : given
      const next = infer(placed, takes)
      if (!next) return refuse('bad-shape', `${name} (${kind}) cannot take [${takes.join('] and [')}]`)
      shapes.set(placed.name, next.shape)
      layers.push(placed)
      for (const tensor of next.tensors) {
        const part = tensor.name.slice(placed.name.length + 1)
        const kept = inner === undefined ? { layer: own, within } : { layer: inner, within: [...within, own] }
        origins.set(tensor.name, { ...kept, part: part === 'kernel' ? (kernel ?? part) : part, shape: others?.[part] })
      }
    }
  }
  return accept({ layers, origins })
}

/** What a layer takes without saying so. */
function isNext(sources: readonly string[], layers: readonly Layer[]): boolean {
  return sources.length === 1 && sources[0] === (layers.at(-1)?.name ?? INPUT)
}

function withoutLast(layers: readonly Layer[], notes: string[]): readonly Layer[] {
  const last = layers.at(-1)
  if (!last || !('activation' in last) || (last.activation !== 'softmax' && last.activation !== 'sigmoid'))
    return layers
  notes.push(`the final ${last.activation} is left out: losses of classes take logits`)
  if (
    last.layer === 'activation' &&
    layers.length > 1 &&
    isNext(last.from ?? [layers.at(-2)?.name ?? ''], layers.slice(0, -1))
  )
    return layers.slice(0, -1)
  return [...layers.slice(0, -1), { ...last, activation: 'linear' }]
}

function shown(name: string): string {
  return name.startsWith('\0') ? 'of the first layer' : name
}
