import { readdir, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { unzipSync } from 'fflate'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { sha256 } from '#crypto'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { sealOf, signerOf } from '#protocol/envelope.ts'
import { type AddressedModel, MODEL_FORMATS, type ModelFormat, modelFile } from '#protocol/formats/model-file.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { modelSchema, type RunManifest, runManifestSchema } from '#protocol/manifest.ts'
import { NoCounterpart, VerificationError } from '#sdk/errors.ts'
import { downloadModel, type Model } from '#sdk/model.ts'
import { Transport } from '#sdk/transport.ts'
import { temporaryFolder } from '#test/folder.ts'

const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
const signer = signerOf(sha256(utf8('the coordinator')))
const another = signerOf(sha256(utf8('somebody')))

/** What a coordinator keeps of a run: the record, and everything that it names, by CID. */
type Kept = {
  readonly root: Cid
  readonly model: AddressedModel
  readonly weights: Cid
  readonly blocks: Map<string, Bytes>
}

function kept(layers: Architecture['layers'], { by = signer, run = RUN } = {}): Kept {
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

const DENSE: Architecture['layers'] = [
  { layer: 'dense', name: 'hidden', units: 2, activation: 'relu' },
  { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
]

/** A coordinator that has these, and may lie. */
function serving(
  { root, model, blocks }: Kept,
  lie: { readonly root?: string | null; readonly model?: string; readonly pin?: string } = {},
): Transport {
  return new Transport({
    url: 'http://coordinator',
    ...(lie.pin !== undefined && { coordinatorKey: lie.pin }),
    maxRetries: 0,
    fetch: async (input) => {
      const { pathname } = new URL(String(input))
      const told = pathname.startsWith('/ipfs/') ? blocks.get(pathname.slice('/ipfs/'.length)) : undefined
      if (told) return new Response(new Uint8Array(told))
      if (pathname.endsWith('/model'))
        return new Response('what nobody reads', { headers: { 'x-consilium-model': lie.model ?? model.cid } })
      if (pathname.endsWith(RUN)) return Response.json({ id: RUN, manifest: lie.root === undefined ? root : lie.root })
      return new Response('', { status: 404 })
    },
  })
}

const changed = (bytes: Bytes, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
const asked = (transport: Transport) => downloadModel(transport, RUN, {})

describe('a model', () => {
  test('is taken where it is what its CID says, and its CID what the signed record says', async () => {
    const model = await asked(serving(kept(DENSE), { pin: signer.id }))
    expect(model.tensors.map(({ name, shape, values }) => [name, shape, [...values]])).toEqual([
      ['hidden/kernel', [2, 2], [0, 0.25, 0.5, 0.75]],
      ['hidden/bias', [2], [1, 1.25]],
      ['out/kernel', [2, 1], [1.5, 1.75]],
      ['out/bias', [1], [2]],
    ])
    expect(model.record).toEqual({ cid: kept(DENSE).root, coordinator: signer.id })
  })

  test('is not taken where one byte of anything that was sent is another, wherever it is', async () => {
    const { blocks, ...rest } = kept(DENSE)
    for (const [cid, block] of blocks)
      for (let at = 0; at < block.length; at += 1 + Math.floor(block.length / 16)) {
        const lying = { ...rest, blocks: new Map(blocks).set(cid, changed(block, at)) }
        await expect(asked(serving(lying))).rejects.toBeInstanceOf(VerificationError)
      }
  })

  test('nor where it is cut off or goes on, where the record is another run’s, or names another model', async () => {
    const good = kept(DENSE)
    const weights = good.blocks.get(good.weights) as Bytes
    for (const bytes of [weights.slice(0, -4), Uint8Array.of(...weights, 0)]) {
      const lying = { ...good, blocks: new Map(good.blocks).set(good.weights, bytes) }
      await expect(asked(serving(lying))).rejects.toBeInstanceOf(VerificationError)
    }
    const other = kept(DENSE, { run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId })
    await expect(asked(serving(other))).rejects.toThrow(/not the record of this run/)
    await expect(asked(serving(good, { model: good.weights }))).rejects.toThrow(/and the record names/)
    await expect(asked(serving(good, { root: good.model.cid }))).rejects.toThrow(/not the record/)
  })

  test('nor under a pinned key where another has signed, or nobody yet; without one that is told', async () => {
    const forged = serving(kept(DENSE, { by: another }), { pin: signer.id })
    await expect(asked(forged)).rejects.toThrow(/signed by z6Mk\w+, and not by z6Mk/)
    await expect(asked(serving(kept(DENSE), { pin: signer.id, root: null }))).rejects.toThrow(/or none yet/)
    expect((await asked(serving(kept(DENSE), { root: null }))).record).toBeNull()
  })
})

describe('a file of it', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder()
  })
  afterAll(async () => folder[Symbol.asyncDispose]())

  const given = kept(DENSE)
  /** As the coordinator makes it. */
  const fileOf = async (format: ModelFormat) => {
    const file = modelFile(format, given.model, once(given.blocks.get(given.weights) as Bytes))
    if (!file.ok) throw new Error(file.refusal)
    return collect(file.value, 2 ** 20)
  }

  test.each(MODEL_FORMATS)('is in %s the one that the coordinator would make, to the byte', async (format) => {
    const model = await asked(serving(given))
    expect(Buffer.from(await model.file(format)).equals(Buffer.from(await fileOf(format)))).toBe(true)
  })

  test('is written whole, under its own ending, and nothing else is', async () => {
    const model = await asked(serving(given))
    const paths = await model.save(`${folder.path}/out`, { formats: MODEL_FORMATS, name: 'risk' })
    expect((await readdir(`${folder.path}/out`)).sort()).toEqual([
      'risk.f32',
      'risk.npz',
      'risk.safetensors',
      'risk.tfjs.zip',
    ])
    for (const [index, format] of MODEL_FORMATS.entries())
      expect((await readFile(paths[index] as string)).equals(Buffer.from(await fileOf(format)))).toBe(true)
    expect(Object.keys(unzipSync(await model.file('npz')))).toContain('out/bias.npy')
  })

  test('is not written where the format has no words for the model, and neither are the others', async () => {
    const [hidden, out] = DENSE as [(typeof DENSE)[0], (typeof DENSE)[0]]
    const model: Model = await asked(serving(kept([{ ...hidden, activation: 'leakyRelu' } as typeof hidden, out])))
    const told = model.save(`${folder.path}/none`, { formats: ['npz', 'tfjs'] })
    await expect(told).rejects.toBeInstanceOf(NoCounterpart)
    expect(await readdir(folder.path)).not.toContain('none')
  })

  test('is not made of an architecture that is not that of the tensors', async () => {
    const { blocks, ...rest } = kept(DENSE)
    const { architecture } = rest.model.manifest
    const tensors = [{ name: 'x', shape: [9], role: 'trainable' }] as const
    const model = encode(modelSchema, { architecture, tensors, weights: rest.weights })
    const lying = { ...rest, blocks: new Map(blocks).set(cidOf(DAG_CBOR, model), model) }
    const taken = await asked(serving(lying, { root: null, model: cidOf(DAG_CBOR, model) }))
    await expect(taken.file('tfjs')).rejects.toThrow(/not those of its architecture/)
    expect(await taken.file('raw')).toHaveLength(36)
  })
})
