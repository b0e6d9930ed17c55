import { decodeCbor } from './cbor.ts'
import { checkBlock, fileCid } from './cid.ts'
import { VerificationError } from './errors.ts'
import type { CallOptions, Transport } from './transport.ts'

export type ModelFormat = 'raw' | 'safetensors' | 'npz' | 'tfjs'

export type ModelOptions = CallOptions & {
  /** A training round that has closed; 0 is what training starts from. The last one unless told otherwise. */
  readonly round?: number
  /** As what the model comes, in `file`. Raw unless told otherwise: its weights alone. */
  readonly format?: ModelFormat
  /**
   * Whether a file is the model of these weights, which have been checked. An archive (npz, tfjs) is not taken without: `modelFile` of
   * `consilium/protocol/formats/model-file` makes the one that it has to be.
   */
  readonly check?: (file: Uint8Array<ArrayBuffer>, model: Omit<DownloadedModel, 'file'>) => boolean | Promise<boolean>
}

/** A model that is what its CID says. */
export type DownloadedModel = {
  /** Of its manifest, which names the rest. */
  readonly cid: string
  readonly architecture: string
  readonly tensors: readonly ModelTensor[]
  /** All tensors, one after another, in their order. */
  readonly weights: Float32Array<ArrayBuffer>
  /** In the format that was asked for. */
  readonly file: Uint8Array<ArrayBuffer>
}

export type ModelTensor = {
  readonly name: string
  readonly shape: readonly number[]
  readonly role: string
  /** A part of the weights; the same memory. */
  readonly values: Float32Array<ArrayBuffer>
}

/**
 * What a run's model is called is the coordinator's word, for which `consilium verify` is; that what comes is the model of that
 * name is checked here: the manifest's block by its hash, the weights by the hashes of all their leaves.
 */
export async function downloadModel(
  transport: Transport,
  run: string,
  { signal, round, format = 'raw', check }: ModelOptions,
): Promise<DownloadedModel> {
  const { sha256 } = transport.doors
  const isArchive = format === 'npz' || format === 'tfjs'
  if (isArchive && !check) throw new VerificationError(`${format} is an archive, which only a check of yours can tell`)
  const get = (format: ModelFormat) =>
    transport.fetch(`/v1/runs/${encodeURIComponent(run)}/model`, { query: { format, round }, signal, timeoutMs: 0 })
  const answer = await get(isArchive ? 'raw' : format)
  const cid = answer.headers.get('x-consilium-model') ?? ''
  const plain = await bytesOf(answer)
  const block = await bytesOf(await transport.fetch(`/ipfs/${cid}`, { query: { format: 'raw' }, signal }))
  await checkBlock(cid, block, sha256)
  const manifest = manifestIn(block)
  const values = format === 'safetensors' ? valuesOf(plain, manifest) : plain
  if ((await fileCid(values, sha256)) !== manifest.weights)
    throw new VerificationError(`what came is not the file ${manifest.weights}`)
  const model = { cid, architecture: manifest.architecture, ...tensorsIn(manifest, values) }
  const file = isArchive ? await bytesOf(await get(format)) : plain
  if (check && !(await check(file, model)))
    throw new VerificationError(`what came as ${format} is not the model ${cid}`)
  return { ...model, file }
}

/** The values of a safetensors file, where its header says of every tensor what the manifest says: names are half of a model. */
function valuesOf(file: Uint8Array<ArrayBuffer>, { tensors }: Manifest): Uint8Array<ArrayBuffer> {
  const length = file.length < 8 ? Number.NaN : Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
  if (!(length <= file.length - 8)) throw new VerificationError('a safetensors file is cut off')
  const { __metadata__, ...told } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)))
  let at = 0
  const due = tensors.map(({ name, shape }) => {
    const from = at
    at += 4 * shape.reduce((product, side) => product * side, 1)
    return [name, 'F32', shape, [from, at]]
  })
  const found = Object.entries<Partial<Record<'dtype' | 'shape' | 'data_offsets', unknown>>>(told)
  const said = new Map(
    found.map(([name, { dtype, shape, data_offsets }]) => [name, [name, dtype, shape, data_offsets]]),
  )
  const inOrder = due.map(([name]) => said.get(name as string))
  if (said.size === due.length && JSON.stringify(inOrder) === JSON.stringify(due)) return file.subarray(8 + length)
  throw new VerificationError('the header of a safetensors file says otherwise than the manifest')
}

type Manifest = {
  readonly architecture: string
  readonly weights: string
  readonly tensors: readonly Omit<ModelTensor, 'values'>[]
}

function manifestIn(block: Uint8Array): Manifest {
  const value = decodeCbor(block)
  const { architecture, weights, tensors } = value as Partial<Record<keyof Manifest, unknown>>
  if (typeof architecture === 'string' && typeof weights === 'string' && Array.isArray(tensors))
    return { architecture, weights, tensors }
  throw new VerificationError('what came is not the manifest of a model')
}

function tensorsIn({ tensors }: Manifest, file: Uint8Array<ArrayBuffer>): Pick<DownloadedModel, 'tensors' | 'weights'> {
  const sizes = tensors.map(({ shape }) => shape.reduce((product, side) => product * side, 1))
  const count = sizes.reduce((sum, size) => sum + size, 0)
  if (file.length !== count * 4) throw new VerificationError('the weights are more or less than the tensors have')
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  // Little-endian on the wire, whatever this machine is.
  const weights = Float32Array.from({ length: count }, (_, index) => view.getFloat32(index * 4, true))
  let at = 0
  const parts = tensors.map((tensor, index) => {
    const size = sizes[index] as number
    at += size
    return { ...tensor, values: weights.subarray(at - size, at) }
  })
  return { tensors: parts, weights }
}

async function bytesOf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await response.arrayBuffer())
}
