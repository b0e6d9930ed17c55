import { z } from 'zod'
import type { Bytes } from '../ids.ts'
import { LAYERS_MAX } from '../limits.ts'
import { accept, type Result, refuse } from '../result.ts'

/** A model.json of a thousand layers takes half of it; weights are in files of their own. */
export const TOPOLOGY_BYTES_MAX = 4 * 1024 * 1024
/** Keras nests a layer's options in a graph in a model in a file: seven deep, with room. */
const DEPTH_MAX = 32
/** Layers, inputs among them. */
const NODES_MAX = 2 * LAYERS_MAX

const layerName = z.string().min(1).max(1000)
const config = z.record(z.string(), z.unknown())
const rawLayer = z.looseObject({
  class_name: z.string().max(100),
  name: layerName.optional(),
  config: config.optional(),
  inbound_nodes: z.array(z.unknown()).max(100).optional(),
})
const place = z.tuple([layerName, z.int(), z.int()])
const places = z.union([z.array(place).min(1).max(NODES_MAX), place.transform((one) => [one])])

const model = z.discriminatedUnion('class_name', [
  z.looseObject({
    class_name: z.literal('Sequential'),
    config: z.union([
      z.array(rawLayer).max(NODES_MAX),
      z.looseObject({ layers: z.array(rawLayer).max(NODES_MAX) }).transform(({ layers }) => layers),
    ]),
  }),
  z.looseObject({
    class_name: z.enum(['Model', 'Functional']),
    config: z.looseObject({ layers: z.array(rawLayer).max(NODES_MAX), input_layers: places, output_layers: places }),
  }),
])

/** One layer as Keras tells of it, and which layers it takes from. */
export type RawLayer = {
  readonly kind: string
  readonly name: string
  readonly config: { readonly batch_input_shape?: unknown; readonly batch_shape?: unknown }
  readonly from: readonly string[]
}

/** A model as a graph, whichever way it is told. */
export type RawModel = {
  readonly layers: readonly RawLayer[]
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Keras 3 means another function by some names. */
  readonly isKeras3: boolean
  readonly hasWeights: boolean
}

export type JsonRefusal = 'bad-json' | 'unsupported-model'

/** A topology by itself, or in a model.json: what it says of weights is not read, and nothing is fetched. */
export function readModel(bytes: Bytes): Result<RawModel, JsonRefusal> {
  const json = readJson(bytes)
  if (!json.ok) return json
  const file = json.value
  const topology = own(file, 'modelTopology') ?? file
  const told = own(topology, 'model_config') ?? topology
  const parsed = model.safeParse(told)
  if (!parsed.success) return refuse('unsupported-model', `it is a Sequential or a Model: ${firstOf(parsed.error)}`)
  const version = own(topology, 'keras_version')
  const shared = {
    isKeras3: typeof version === 'string' && version.startsWith('3.'),
    hasWeights: own(file, 'weightsManifest') !== undefined,
  }
  if (parsed.data.class_name === 'Sequential') return chain(parsed.data.config, shared)
  const { layers, input_layers, output_layers } = parsed.data.config
  const read: RawLayer[] = []
  for (const layer of layers) {
    const name = nameOf(layer)
    const nodes = layer.inbound_nodes ?? []
    if (name === undefined) return refuse('unsupported-model', 'a layer has no name')
    if (nodes.length > 1)
      return refuse('unsupported-model', `${name} is used ${nodes.length} times: give each use a layer of its own`)
    const from = nodes.length === 0 ? [] : sourcesOf(nodes[0])
    if (!from) return refuse('unsupported-model', `what ${name} takes cannot be read`)
    read.push({ kind: layer.class_name, name, config: layer.config ?? {}, from })
  }
  return accept({
    ...{ layers: read, inputs: input_layers.map(([name]) => name), outputs: output_layers.map(([name]) => name) },
    ...shared,
  })
}

/** What is wrong, and where. */
export function firstOf(error: z.ZodError): string {
  const [issue] = error.issues
  return issue ? `${issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''}${issue.message}` : 'another shape'
}

/** JSON of bounded size and depth. */
export function readJson(bytes: Bytes): Result<unknown, 'bad-json'> {
  if (bytes.length > TOPOLOGY_BYTES_MAX)
    return refuse('bad-json', `${bytes.length} bytes, at most ${TOPOLOGY_BYTES_MAX}: without its weights`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (depthOf(text) > DEPTH_MAX) return refuse('bad-json', `deeper than ${DEPTH_MAX}`)
    return accept(JSON.parse(text) as unknown)
  } catch {
    return refuse('bad-json', 'it cannot be read')
  }
}

/** One look at each character: no expression that could be made to look again. */
function depthOf(text: string): number {
  let [depth, deepest, isText] = [0, 0, false]
  for (let at = 0; at < text.length; at++) {
    const mark = text[at]
    if (mark === '"') isText = !isText
    else if (isText && mark === '\\') at++
    else if (!isText && (mark === '[' || mark === '{')) deepest = Math.max(deepest, ++depth)
    else if (!isText && (mark === ']' || mark === '}')) depth--
  }
  return deepest
}

/** Never what an object inherits. */
function own(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function nameOf(layer: z.output<typeof rawLayer>): string | undefined {
  return layer.name ?? layerName.safeParse(own(layer.config, 'name')).data
}

/** Each takes what the one before puts out; the first says what is put in. */
function chain(
  layers: readonly z.output<typeof rawLayer>[],
  shared: Pick<RawModel, 'isKeras3' | 'hasWeights'>,
): Result<RawModel, JsonRefusal> {
  const [first] = layers
  if (!first) return refuse('unsupported-model', 'it has no layers')
  const named = layers.map((layer, index) => ({ ...layer, name: nameOf(layer) ?? `layer_${index + 1}` }))
  const input = { kind: 'InputLayer', name: INPUT_NAME, config: first.config ?? {}, from: [] }
  const isTold = first.class_name === 'InputLayer'
  const rest = isTold ? named.slice(1) : named
  const read = rest.map((layer, index) => ({
    ...{ kind: layer.class_name, name: layer.name, config: layer.config ?? {} },
    from: [rest[index - 1]?.name ?? INPUT_NAME],
  }))
  return accept({ layers: [input, ...read], inputs: [INPUT_NAME], outputs: [rest.at(-1)?.name ?? ''], ...shared })
}

/** No layer of a file is called so. */
const INPUT_NAME = '\0input'

/** Keras 2: [[name, node, tensor, options], …]. Keras 3: {args: [tensor or tensors], kwargs}. */
const nodes2 = z.array(z.tuple([layerName, z.literal(0), z.literal(0)], z.strictObject({}))).max(100)
const tensor3 = z
  .looseObject({ class_name: z.literal('__keras_tensor__'), config: z.looseObject({ keras_history: place }) })
  .transform((tensor) => tensor.config.keras_history[0])
const node3 = z.looseObject({ args: z.array(z.union([tensor3, z.array(tensor3).max(100)])).max(100) })

function sourcesOf(node: unknown): readonly string[] | undefined {
  const old = nodes2.safeParse(node)
  if (old.success) return old.data.map(([name]) => name)
  const now = node3.safeParse(node)
  return now.success ? now.data.args.flat() : undefined
}
