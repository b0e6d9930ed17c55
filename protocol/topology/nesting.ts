import { accept, type Result, refuse } from '../result.ts'
import { graphIn, isModel, type JsonRefusal, NODES_MAX, type RawGraph, type RawLayer, type RawSource } from './json.ts'

/** A layer in the one graph that is left: `name` is its own behind those of the models that it is in. */
export type FlatLayer = Pick<RawLayer, 'kind' | 'config'> & {
  readonly name: string
  readonly from: readonly string[]
  /** What it is called where its weights are kept, and the models that it is in, the outermost first. */
  readonly own: string
  readonly within: readonly string[]
}

export type FlatGraph = {
  readonly layers: readonly FlatLayer[]
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

/**
 * A model whose layers may be models, as one graph: each inner layer by itself, called `<model>.<layer>`. An inner input is what
 * the model around it puts there, and what a model puts out is what a layer of it does. A model that is frozen, or called as
 * not in training, is so to its last layer.
 */
export function flatten(graph: RawGraph): Result<FlatGraph, JsonRefusal> {
  const places: Places = { layers: [], aliases: new Map() }
  const done = lay(graph, { path: [], frozen: false }, places)
  if (!done.ok) return done
  const sourceOf = (key: string): string | undefined => {
    let at: string | undefined = key
    // Each alias is followed once at most; whoever takes from itself is found by whoever puts layers in order.
    for (let steps = places.aliases.size; at !== undefined && steps >= 0; steps--) {
      if (!places.aliases.has(at)) return at.startsWith(ONLY) ? at.slice(ONLY.length) : undefined
      at = places.aliases.get(at)
    }
    return undefined
  }
  const layers: FlatLayer[] = []
  for (const { keys, ...layer } of places.layers) {
    const from = keys.map(sourceOf)
    if (!from.every((source) => source !== undefined))
      return refuse('unsupported-model', `${layer.name} takes what is not there`)
    layers.push({ ...layer, from })
  }
  const outputs = graph.outputs.map((source) => sourceOf(keyOf('', source)))
  if (!outputs.every((output) => output !== undefined))
    return refuse('unsupported-model', 'what it puts out is not there')
  return accept({ layers, inputs: graph.inputs, outputs })
}

type Around = { readonly path: readonly string[]; readonly frozen: boolean; readonly training?: boolean | undefined }
type Places = {
  readonly layers: (Omit<FlatLayer, 'from'> & { readonly keys: readonly string[] })[]
  /** What stands for another: inner inputs and whole models. */
  readonly aliases: Map<string, string>
}

function lay(graph: RawGraph, around: Around, places: Places): Result<void, JsonRefusal> {
  const { path } = around
  const prefix = path.map((name) => `${name}.`).join('')
  for (const layer of graph.layers) {
    const { kind, name: own } = layer
    if (path.length > 0 && kind === 'InputLayer' && graph.inputs.includes(own)) continue
    if (places.layers.length >= NODES_MAX) return refuse('unsupported-model', `more than ${NODES_MAX} layers`)
    const name = prefix + own
    const keys = layer.from.map((source) => keyOf(prefix, source))
    const training = layer.training ?? around.training
    const frozen = around.frozen || layer.config['trainable'] === false
    if (!isModel(kind)) {
      const config = called(layer, training, frozen)
      if (typeof config === 'string') return refuse('unsupported-model', `${name}: ${config}`)
      places.layers.push({ kind, name, own, keys, within: path, config })
      continue
    }
    const inner = graphIn({ class_name: kind, config: layer.config })
    if (!inner.ok) return refuse('unsupported-model', `${name}: ${inner.detail ?? ''}`)
    const { inputs, outputs } = inner.value
    if (inputs.length !== keys.length)
      return refuse('unsupported-model', `${name} takes ${keys.length} things, of ${inputs.length}`)
    for (const [index, input] of inputs.entries())
      places.aliases.set(keyOf(`${name}.`, { layer: input, tensor: 0 }), keys[index] as string)
    for (const [tensor, output] of outputs.entries())
      places.aliases.set(keyOf(prefix, { layer: own, tensor }), keyOf(`${name}.`, output))
    const laid = lay(inner.value, { path: [...path, own], frozen, training }, places)
    if (!laid.ok) return laid
  }
  return accept(undefined)
}

/** The options of a layer that is called so; or why it cannot be. */
function called(
  { kind, config, options }: RawLayer,
  training: boolean | undefined,
  frozen: boolean,
): RawLayer['config'] | string {
  const own = { ...config, ...(frozen && { trainable: false }), ...(options && { called: options }) }
  const rate = kind === 'Dropout' ? 'rate' : kind === 'MultiHeadAttention' ? 'dropout' : undefined
  const isSame = rate === undefined ? kind !== 'BatchNormalization' : !config[rate]
  if (isSame) return own
  if (training) return 'it is called as in training even where it is not: leave that out'
  if (training === undefined) return own
  if (rate) return { ...own, [rate]: 0 }
  return frozen ? own : 'it is called as not in training even where it is: freeze it, or leave that out'
}

/** One thing that a layer puts out; but for a model it is the first and only one. */
function keyOf(prefix: string, { layer, tensor }: RawSource): string {
  return `${tensor}:${prefix}${layer}`
}

const ONLY = '0:'
