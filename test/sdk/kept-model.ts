import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { sha256 } from '#crypto'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Signer, sealOf, signerOf } from '#protocol/envelope.ts'
import { type AddressedModel, type ModelFormat, modelFile } from '#protocol/formats/model-file.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { modelSchema, type RunManifest, runManifestSchema } from '#protocol/manifest.ts'

export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
export const signer = signerOf(sha256(utf8('the coordinator')))

/** Has no key of the coordinator's, and says that it was the coordinator. */
export const forger: Signer = {
  id: signer.id,
  sign: (type, body) => ({ ...signerOf(sha256(utf8('somebody'))).sign(type, body), from: signer.id }),
}

/** What a coordinator keeps of a run: the record, and everything that it names, by CID. */
export type Kept = {
  readonly root: Cid
  readonly model: AddressedModel
  readonly weights: Cid
  readonly blocks: Map<string, Bytes>
}

export function kept(layers: Architecture['layers'], { by = signer, run = RUN } = {}): Kept {
  const architecture: Architecture = { v: 1, input: [2], layers }
  const shape = shapeOf(architecture)
  if (!shape.ok) throw new Error(shape.refusal)
  const weights = encodeWeights(Float32Array.from({ length: shape.value.parameters }, (_, at) => at / 4)) as Bytes
  const file = cidOf(RAW, weights)
  const block = encode(architectureSchema, architecture)
  const manifest = modelManifestOf(cidOf(DAG_CBOR, block), shape.value.tensors, file)
  const model = encode(modelSchema, manifest)
  const named = cidOf(DAG_CBOR, model)
  const record: RunManifest = {
    ...{ v: 1, run, coordinator: by.id, population: 'open', masking: 'none', task: file, planned: 1, rounds: [] },
    ...{ outcome: 'completed', reason: null, model: named, evaluation: null, budget: 0n, paid: 0n, released: 0n },
  }
  const { seal, body } = sealOf(by.sign('run', encode(runManifestSchema, record)))
  const blocks = new Map([block, model].map((each) => [cidOf(DAG_CBOR, each) as string, each]))
  for (const { cid, bytes } of [seal, body, { cid: file, bytes: weights }]) blocks.set(cid, bytes)
  return { root: seal.cid, model: { cid: named, manifest, architecture }, weights: file, blocks }
}

export const DENSE: Architecture['layers'] = [
  { layer: 'dense', name: 'hidden', units: 2, activation: 'relu' },
  { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
]

/** What a coordinator answers that has these, and may lie; undefined where there is nothing. */
export function answerOf(
  { root, model, blocks }: Kept,
  pathname: string,
  lie: { readonly root?: string | null; readonly model?: string } = {},
): Response | undefined {
  const told = pathname.startsWith('/ipfs/') ? blocks.get(pathname.slice('/ipfs/'.length)) : undefined
  if (told) return new Response(new Uint8Array(told))
  if (pathname.endsWith('/model'))
    return new Response('what nobody reads', { headers: { 'x-consilium-model': lie.model ?? model.cid } })
  // Whichever run is asked for, this is the one that it shows.
  if (/\/run_\w+$/.test(pathname)) return Response.json({ id: RUN, manifest: lie.root === undefined ? root : lie.root })
  return undefined
}

/** One byte is another, in one of the blocks; and again, at some places of each. */
export function* lies({ blocks }: Kept): Iterable<{ readonly cid: string; readonly at: number }> {
  for (const [cid, block] of blocks)
    for (let at = 0; at < block.length; at += 1 + Math.floor(block.length / 16)) yield { cid, at }
}

export function lyingAt(given: Kept, { cid, at }: { readonly cid: string; readonly at: number }): Kept {
  const block = given.blocks.get(cid) as Bytes
  const changed = block.map((byte, index) => (index === at ? byte ^ 1 : byte))
  return { ...given, blocks: new Map(given.blocks).set(cid, changed) }
}

/** As the coordinator makes it. */
export async function fileOf({ model, weights, blocks }: Kept, format: ModelFormat): Promise<Bytes> {
  const file = modelFile(format, model, once(blocks.get(weights) as Bytes))
  if (!file.ok) throw new Error(file.refusal)
  return collect(file.value, 2 ** 20)
}
