import { readdir, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { unzipSync } from 'fflate'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { signerOf } from '#protocol/envelope.ts'
import { MODEL_FORMATS } from '#protocol/formats/model-file.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { NoCounterpart, VerificationError } from '#sdk/errors.ts'
import { downloadModel, type Model } from '#sdk/model.ts'
import { Transport } from '#sdk/transport.ts'
import { temporaryFolder } from '#test/folder.ts'
import { answerOf, DENSE, fileOf, forger, type Kept, kept, lies, lyingAt, RUN, signer } from './kept-model.ts'

const OTHER = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
const another = signerOf(sha256(utf8('somebody')))

function serving(
  given: Kept,
  { pin, ...lie }: { readonly root?: string | null; readonly model?: string; readonly pin?: string } = {},
): Transport {
  return new Transport({
    ...{ url: 'http://coordinator', maxRetries: 0, ...(pin !== undefined && { coordinatorKey: pin }) },
    fetch: async (input) => answerOf(given, new URL(String(input)).pathname, lie) ?? new Response('', { status: 404 }),
  })
}

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
    const good = kept(DENSE)
    const all = [...lies(good)]
    expect(new Set(all.map(({ cid }) => cid)).size).toBe(good.blocks.size)
    for (const lie of all) await expect(asked(serving(lyingAt(good, lie)))).rejects.toBeInstanceOf(VerificationError)
  })

  test('nor where it is cut off or goes on, where the record is another run’s, or names another model', async () => {
    const good = kept(DENSE)
    const weights = good.blocks.get(good.weights) as Bytes
    for (const bytes of [weights.slice(0, -4), Uint8Array.of(...weights, 0)]) {
      const lying = { ...good, blocks: new Map(good.blocks).set(good.weights, bytes) }
      await expect(asked(serving(lying))).rejects.toBeInstanceOf(VerificationError)
    }
    const other = kept(DENSE, { run: OTHER })
    await expect(asked(serving(other))).rejects.toThrow(/not the record of this run/)
    await expect(downloadModel(serving(good), OTHER, {})).rejects.toThrow(/was asked for/)
    await expect(asked(serving(good, { model: good.weights }))).rejects.toThrow(/and the record names/)
    await expect(asked(serving(good, { root: good.model.cid }))).rejects.toThrow(/not the record/)
  })

  test('nor under a pinned key where another has signed, or nobody yet; without one that is told', async () => {
    for (const pin of [signer.id, undefined])
      await expect(asked(serving(kept(DENSE, { by: forger }), pin ? { pin } : {}))).rejects.toThrow(
        /not signed by whom/,
      )
    const theirs = serving(kept(DENSE, { by: another }), { pin: signer.id })
    await expect(asked(theirs)).rejects.toThrow(/signed by z6Mk\w+, and not by z6Mk/)
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
  test.each(MODEL_FORMATS)('is in %s the one that the coordinator would make, to the byte', async (format) => {
    const model = await asked(serving(given))
    expect(Buffer.from(await model.file(format)).equals(Buffer.from(await fileOf(given, format)))).toBe(true)
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
      expect((await readFile(paths[index] as string)).equals(Buffer.from(await fileOf(given, format)))).toBe(true)
    expect(Object.keys(unzipSync(await model.file('npz')))).toContain('out/bias.npy')
  })

  test('is not written beside its folder', async () => {
    const model = await asked(serving(given))
    for (const name of ['../risk', 'a\\b', ''])
      await expect(model.save(folder.path, { name })).rejects.toThrow(/no name of a file/)
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
