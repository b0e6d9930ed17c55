import { z } from 'zod'
import type { Bytes } from '../ids.ts'
import { LAYERS_MAX } from '../limits.ts'
import { accept, type Result, refuse } from '../result.ts'

/** A model.json of a thousand layers takes half of it; weights are in files of their own. */
export const TOPOLOGY_BYTES_MAX = 4 * 1024 * 1024
/** Keras nests a layer's options in a graph in a model in a file: seven deep, with room. */
const DEPTH_MAX = 32
/** Layers, inputs among them. */
export const NODES_MAX = 2 * LAYERS_MAX

const layerName = z.string().min(1).max(1000)
const config = z.record(z.string(), z.unknown())
const rawLayer = z.looseObject({
  class_name: z.string().max(100),
  name: layerName.optional(),
  config: config.optional(),
  inbound_nodes: z.array(z.unknown()).max(100).optional(),
})
/** A layer, which of its uses (each has one here, which a model counts from 1), and which of the things that it puts out. */
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

/** One layer as Keras tells of it, or a model within the model, and what it takes. */
export type RawLayer = {
  readonly kind: string
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
  readonly from: readonly RawSource[]
  /** Where it is called as in training or as not in training, whatever is done with the model. */
  readonly training?: boolean | undefined
  /** What some are told where they are called, and not where they are made. */
  readonly options?: Readonly<Record<string, unknown>> | undefined
}

/** What a layer puts out; a model may put out several things. */
export type RawSource = { readonly layer: string; readonly tensor: number }

/** A model as a graph, whichever way it is told. */
export type RawGraph = {
  readonly layers: readonly RawLayer[]
  readonly inputs: readonly string[]
  readonly outputs: readonly RawSource[]
}

export type RawModel = RawGraph & {
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
  const graph = graphIn(told)
  if (!graph.ok) return graph
  const version = own(topology, 'keras_version')
  return accept({
    ...graph.value,
    isKeras3: typeof version === 'string' && version.startsWith('3.'),
    hasWeights: own(file, 'weightsManifest') !== undefined,
  })
}

/** Whether a layer is a model, which {@link graphIn} reads. */
export function isModel(kind: string): boolean {
  return kind === 'Sequential' || kind === 'Functional' || kind === 'Model'
}

/** @param told a model as Keras tells of it: its class, and its layers */
export function graphIn(told: unknown): Result<RawGraph, JsonRefusal> {
  const parsed = model.safeParse(told)
  if (!parsed.success) return refuse('unsupported-model', `it is a Sequential or a Model: ${firstOf(parsed.error)}`)
  if (parsed.data.class_name === 'Sequential') return chain(parsed.data.config)
  const { layers, input_layers, output_layers } = parsed.data.config
  const read: RawLayer[] = []
  for (const layer of layers) {
    const name = nameOf(layer)
    const nodes = layer.inbound_nodes ?? []
    if (name === undefined) return refuse('unsupported-model', 'a layer has no name')
    if (nodes.length > 1)
      return refuse('unsupported-model', `${name} is used ${nodes.length} times: give each use a layer of its own`)
    const node = nodes.length === 0 ? { from: [] } : nodeOf(nodes[0], layer.class_name)
    if (!node) return refuse('unsupported-model', `what ${name} takes cannot be read`)
    read.push({ kind: layer.class_name, name, config: layer.config ?? {}, ...node })
  }
  return accept({ layers: read, inputs: input_layers.map(([name]) => name), outputs: output_layers.map(sourceAt) })
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
function chain(layers: readonly z.output<typeof rawLayer>[]): Result<RawGraph, JsonRefusal> {
  const [first] = layers
  if (!first) return refuse('unsupported-model', 'it has no layers')
  const named = layers.map((layer, index) => ({ ...layer, name: nameOf(layer) ?? `layer_${index + 1}` }))
  const input = { kind: 'InputLayer', name: INPUT_NAME, config: inputConfigOf(first), from: [] }
  const isTold = first.class_name === 'InputLayer'
  const rest = isTold ? named.slice(1) : named
  const read = rest.map((layer, index) => ({
    ...{ kind: layer.class_name, name: layer.name, config: layer.config ?? {} },
    from: [{ layer: rest[index - 1]?.name ?? INPUT_NAME, tensor: 0 }],
  }))
  const outputs = [{ layer: rest.at(-1)?.name ?? '', tensor: 0 }]
  return accept({ layers: [input, ...read], inputs: [INPUT_NAME], outputs })
}

/** What says what is put into a layer: its own options or, of a model, those of its first layer. */
function inputConfigOf({ class_name, config = {} }: z.output<typeof rawLayer>): RawLayer['config'] {
  const inner = isModel(class_name) ? graphIn({ class_name, config }) : undefined
  if (!inner?.ok) return config
  return inner.value.layers.find(({ name }) => name === inner.value.inputs[0])?.config ?? {}
}

/** No layer of a file is called so. */
const INPUT_NAME = '\0input'

/** Options of a call that say nothing, or whether it is as in training. */
const call = z
  .record(z.string(), z.unknown())
  .refine((options) =>
    Object.entries(options).every(
      ([name, value]) => value === null || (name === 'training' && typeof value === 'boolean'),
    ),
  )
  .transform(({ training }) => (typeof training === 'boolean' ? training : undefined))
/** Keras 2: [[name, node, tensor, options], …]. Keras 3: {args: [tensor or tensors], kwargs}. */
const nodes2 = z.array(z.tuple([layerName, z.int(), z.int(), call])).max(100)
const tensor3 = z
  .looseObject({ class_name: z.literal('__keras_tensor__'), config: z.looseObject({ keras_history: place }) })
  .transform((tensor) => sourceAt(tensor.config.keras_history))
const node3 = z.looseObject({
  args: z.array(z.union([tensor3, z.array(tensor3).max(100)])).max(100),
  kwargs: call.optional(),
})

function sourceAt([layer, , tensor]: z.output<typeof place>): RawSource {
  return { layer, tensor }
}

type Node = Pick<RawLayer, 'from' | 'training' | 'options'>

/** Keras 3 keeps of each layer how it was called when the model was built, and calls it otherwise: only of a model is it meant. */
function nodeOf(node: unknown, kind: string): Node | undefined {
  const names = NAMED.get(kind)
  if (names) return namedOf(node, names)
  const old = nodes2.safeParse(node)
  if (old.success)
    return {
      from: old.data.map(([layer, , tensor]) => ({ layer, tensor })),
      training: old.data.find(([, , , training]) => training !== undefined)?.[3],
    }
  const now = node3.safeParse(node)
  if (!now.success) return undefined
  return { from: now.data.args.flat(), ...(isModel(kind) && { training: now.data.kwargs }) }
}

/** What these take is told by place or by name, in either version's way; of three the last may be left out. */
const NAMED: ReadonlyMap<string, readonly string[]> = new Map([
  ['MultiHeadAttention', ['query', 'value', 'key']],
  ['TFOpLambda', ['x', 'y']],
])
const source = z.union([tensor3, place.transform(sourceAt)])
const taken = z.tuple([source, source, source.nullish()])
const told = z.record(z.string(), z.unknown())
const first2 = z.tuple([layerName, z.int(), z.int(), told])
const named = z.union([
  z.union([first2, z.tuple([first2]).transform(([one]) => one)]).transform(([layer, node, tensor, options]) => ({
    ...{ given: [[layer, node, tensor]], options, isOld: true },
  })),
  z.looseObject({ args: z.array(z.unknown()).max(100), kwargs: told.default({}) }).transform(({ args, kwargs }) => ({
    ...{ given: args, options: kwargs, isOld: false },
  })),
])

function namedOf(node: unknown, names: readonly string[]): Node | undefined {
  const read = named.safeParse(node)
  if (!read.success || read.data.given.length > names.length) return undefined
  const { given, options, isOld } = read.data
  const takes = taken.safeParse(names.map((name, at) => options[name] ?? given[at]))
  if (!takes.success) return undefined
  const training = typeof options['training'] === 'boolean' ? options['training'] : undefined
  const isSaid = ([name, value]: readonly [string, unknown]) =>
    value !== null && !names.includes(name) && !(name === 'training' && training !== undefined)
  return {
    from: takes.data.filter((each) => each !== null && each !== undefined),
    options: Object.fromEntries(Object.entries(options).filter(isSaid)),
    ...(isOld && { training }),
  }
}
