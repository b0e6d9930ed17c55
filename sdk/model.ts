import { decodeCbor } from './cbor.ts'
import { checkBlock, fileCid } from './cid.ts'
import { VerificationError } from './errors.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { RunView } from './views.ts'

export type ModelOptions = CallOptions

/** A model that is what its CID says. */
export type DownloadedModel = {
  /** Of its manifest, which names the rest. */
  readonly cid: string
  readonly architecture: string
  readonly tensors: readonly ModelTensor[]
  /** All tensors, one after another, in their order. */
  readonly weights: Float32Array<ArrayBuffer>
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
  { signal }: ModelOptions,
): Promise<DownloadedModel> {
  const { sha256 } = transport.doors
  const { model: cid } = await transport.json<RunView>(`/v1/runs/${encodeURIComponent(run)}`, { signal })
  const block = await bytesOf(await transport.fetch(`/ipfs/${cid}`, { query: { format: 'raw' }, signal }))
  await checkBlock(cid, block, sha256)
  const manifest = manifestIn(block)
  const file = await bytesOf(await transport.fetch(`/ipfs/${manifest.weights}`, { signal, timeoutMs: 0 }))
  if ((await fileCid(file, sha256)) !== manifest.weights)
    throw new VerificationError(`what came is not the file ${manifest.weights}`)
  return { cid, architecture: manifest.architecture, ...tensorsIn(manifest, file) }
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
