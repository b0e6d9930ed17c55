import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { collect, once } from '#protocol/bytes.ts'
import { FORMATS, type ModelFormat, modelFile } from '#protocol/formats/model-file.ts'
import type { Cid } from '#protocol/ids.ts'
import { PARAMETERS_MAX } from '#protocol/limits.ts'
import type { ModelManifest } from '#protocol/manifest.ts'
import { decodeCbor } from './cbor.ts'
import { fileCid } from './cid.ts'
import { NoCounterpart, VerificationError } from './errors.ts'
import { blockOf, type ModelRecord, signedModel } from './record.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { RoundView, RunView } from './views/runs.ts'

type Bytes = Uint8Array<ArrayBuffer>

export type ModelOptions = CallOptions & {
  /** A training round that has closed; 0 is what training starts from. The last one unless told otherwise. */
  readonly round?: number
}
export type SaveOptions = {
  /** Safetensors unless told otherwise. */
  readonly formats?: readonly ModelFormat[]
  /** Of the files, before their ending; `model` unless told otherwise. */
  readonly name?: string
}

export type ModelTensor = {
  readonly name: string
  readonly shape: readonly number[]
  readonly role: 'trainable' | 'moving' | 'frozen'
  /** A part of the weights; the same memory. */
  readonly values: Float32Array<ArrayBuffer>
}

type Parts = {
  readonly cid: string
  readonly record: ModelRecord | null
  readonly manifest: ModelManifest
  readonly architecture: Bytes
  readonly file: Bytes
}

/** A model that is what its CID says, and that its record, where there is one, names. */
export class Model {
  /** Of its manifest, which names the rest. */
  readonly cid: string
  readonly architecture: string
  readonly tensors: readonly ModelTensor[]
  /** All tensors, one after another, in their order. */
  readonly weights: Float32Array<ArrayBuffer>
  /**
   * The signed record of the run, or of the round, that names it; null while the run goes on and no round was asked for, and
   * of what training starts from. Then its name is the coordinator's word.
   */
  readonly record: ModelRecord | null
  readonly #parts: Parts
  readonly #keep: Transport['doors']['keep']

  constructor(parts: Parts, keep: Transport['doors']['keep']) {
    const { cid, record, manifest, file } = parts
    this.cid = cid
    this.record = record
    this.architecture = manifest.architecture
    this.weights = floatsIn(file)
    let at = 0
    this.tensors = manifest.tensors.map((tensor) => {
      const size = sizeOf(tensor)
      at += size
      return { ...tensor, values: this.weights.subarray(at - size, at) }
    })
    this.#parts = parts
    this.#keep = keep
  }

  /**
   * In this format. It is made here, of what has been checked: one model is one file, to the byte, whoever makes it, and so
   * nobody's file has to be believed. Throws {@link NoCounterpart} where the format has no words for the model.
   */
  async file(format: ModelFormat): Promise<Bytes> {
    const { cid, manifest, architecture, file } = this.#parts
    const read = format === 'tfjs' ? architectureIn(architecture, manifest) : NONE
    const made = modelFile(format, { cid: cid as Cid, manifest, architecture: read }, once(file))
    if (!made.ok) throw new NoCounterpart(made.detail ?? made.refusal)
    return (await collect(made.value, Number.MAX_SAFE_INTEGER)) as Bytes
  }

  /**
   * Writes it into a folder, one file for each format; none where one of them cannot be made. @returns their paths
   */
  async save(
    folder: string,
    { formats = ['safetensors'], name = 'model' }: SaveOptions = {},
  ): Promise<readonly string[]> {
    // Somebody chose it, and it may be that of a task.
    if (!/^[^/\\]+$/.test(name)) throw new TypeError(`${name} is no name of a file`)
    const files: { readonly name: string; readonly bytes: Bytes }[] = []
    for (const format of new Set(formats))
      files.push({ name: `${name}.${FORMATS[format].suffix}`, bytes: await this.file(format) })
    const paths: string[] = []
    for (const file of files) paths.push(await this.#keep({ folder, ...file }))
    return paths
  }
}

/** Of formats that have no use for it. */
const NONE: Architecture = { v: 1, input: [], layers: [] }

/**
 * What the run's record, signed by the coordinator, calls its model is what is taken: the record by its signature, the
 * manifest and the architecture by the hashes of their blocks, the weights by those of all their leaves.
 */
export async function downloadModel(transport: Transport, id: string, { signal, round }: ModelOptions): Promise<Model> {
  const options = { signal }
  const path = `/v1/runs/${encodeURIComponent(id)}`
  const view = await transport.json<RunView>(path, options)
  if (view.id !== id) throw new VerificationError(`what came is ${view.id}, and ${id} was asked for`)
  // Asked for its name, or why there is none: what comes with it is not read.
  const answer = await transport.fetch(`${path}/model`, { query: { format: 'raw', round }, signal })
  const cid = answer.headers.get('x-consilium-model') ?? ''
  await answer.body?.cancel()
  const root = round === 0 ? null : await rootOf(transport, view, round, options)
  const record = root === null ? null : await signedModel(transport, root, { run: view.id, round }, options)
  const { coordinatorKey } = transport
  if (coordinatorKey !== undefined && !record)
    throw new VerificationError(`no record that ${coordinatorKey} has signed names this model, or none yet`)
  if (record && record.model !== cid)
    throw new VerificationError(`what comes as the model is ${cid}, and the record names ${record.model}`)
  const manifest = manifestIn(await blockOf(transport, cid, options))
  const architecture = await blockOf(transport, manifest.architecture, options)
  const sizeBytes = 4 * manifest.tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0)
  const file = await transport.bytes(`/ipfs/${manifest.weights}`, sizeBytes, { signal, timeoutMs: 0 })
  if ((await fileCid(file, transport.doors.sha256)) !== manifest.weights)
    throw new VerificationError(`what came is not the file ${manifest.weights}`)
  if (file.length !== sizeBytes) throw new VerificationError('the weights are fewer than the tensors have')
  const signed = record && { cid: record.cid, coordinator: record.coordinator }
  return new Model({ cid, record: signed, manifest, architecture, file }, transport.doors.keep)
}

async function rootOf(
  transport: Transport,
  { id, manifest }: RunView,
  round: number | undefined,
  options: CallOptions,
): Promise<string | null> {
  if (round === undefined) return manifest
  return (await transport.json<RoundView>(`/v1/runs/${encodeURIComponent(id)}/rounds/${round}`, options)).record
}

function manifestIn(block: Bytes): ModelManifest {
  const value = decodeCbor(block)
  const { architecture, weights, tensors } = value as Partial<Record<keyof ModelManifest, unknown>>
  const isModel = typeof architecture === 'string' && typeof weights === 'string' && Array.isArray(tensors)
  if (isModel && tensors.every(isTensor)) {
    const manifest = { architecture: architecture as Cid, weights: weights as Cid, tensors }
    if (tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0) <= PARAMETERS_MAX) return manifest
  }
  throw new VerificationError('what came is not the manifest of a model')
}

function isTensor(value: unknown): value is ModelManifest['tensors'][number] {
  const { name, shape, role } = (value ?? {}) as Partial<Record<keyof ModelTensor, unknown>>
  const isShape =
    Array.isArray(shape) && shape.length <= 4 && shape.every((side) => Number.isSafeInteger(side) && side > 0)
  return typeof name === 'string' && isShape && ['trainable', 'moving', 'frozen'].includes(role as string)
}

/** What follows from it has to be what the manifest says: names, shapes, and what is trained. */
function architectureIn(block: Bytes, { tensors }: ModelManifest): Architecture {
  const architecture = decodeCbor(block) as unknown as Architecture
  if (layoutOf(tensorsOf(architecture)) === layoutOf(tensors)) return architecture
  throw new VerificationError('the tensors of the model are not those of its architecture')
}

/** None where it is no architecture at all: it was hashed, and is still whatever somebody called so. */
function tensorsOf(architecture: Architecture): ModelManifest['tensors'] {
  try {
    const shape = shapeOf(architecture)
    return shape.ok ? shape.value.tensors : []
  } catch {
    return []
  }
}

function layoutOf(tensors: ModelManifest['tensors']): string {
  return JSON.stringify(tensors.map(({ name, shape, role }) => [name, shape, role]))
}

function sizeOf({ shape }: { readonly shape: readonly number[] }): number {
  return shape.reduce((product, side) => product * side, 1)
}

/** Little-endian on the wire, whatever this machine is. */
function floatsIn(file: Bytes): Float32Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  return Float32Array.from({ length: file.length / 4 }, (_, index) => view.getFloat32(index * 4, true))
}
