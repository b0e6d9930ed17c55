import { expect, test } from '@jest/globals'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { collect } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { modelFile } from '#protocol/formats/model-file.ts'
import type { Bytes } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { VerificationError } from '#sdk/errors.ts'
import { downloadModel, type ModelFormat } from '#sdk/model.ts'
import { Transport } from '#sdk/transport.ts'

const start = { kind: 'forget' } as const
const tensors = [
  { name: 'out/kernel', shape: [2, 2], role: 'trainable' as const, start },
  { name: 'out/scale', shape: [2, 2], role: 'trainable' as const, start },
]
const architecture = { v: 1, input: [2], layers: [] } as const
const weights = encodeWeights(Float32Array.from({ length: 8 }, (_, at) => at / 4)) as Bytes
const manifest = modelManifestOf(cidOf(DAG_CBOR, new Uint8Array([1])), tensors, cidOf(RAW, weights))
const block = encode(modelSchema, manifest)
const cid = cidOf(DAG_CBOR, block)

async function fileOf(format: ModelFormat): Promise<Bytes> {
  const source = async function* () {
    yield weights
  }
  const file = modelFile(format, { cid, manifest, architecture }, source())
  if (!file.ok) throw new Error(file.refusal)
  return collect(file.value, 4096)
}

/** A coordinator that answers with this file and this manifest. */
function serving(file: Bytes, told: { readonly block?: Bytes; readonly cid?: string } = {}): Transport {
  return new Transport({
    url: 'http://coordinator',
    fetch: async (url) =>
      String(url).includes('/ipfs/')
        ? new Response(new Uint8Array(told.block ?? block))
        : new Response(new Uint8Array(file), { headers: { 'x-consilium-model': told.cid ?? cid } }),
  })
}

const changed = (bytes: Bytes, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

test.each(['raw', 'safetensors'] as const)('a model as %s is taken where it is what its CID says', async (format) => {
  const model = await downloadModel(serving(await fileOf(format)), 'run_1', { format })
  expect(model.tensors.map(({ name, values }) => [name, [...values]])).toEqual([
    ['out/kernel', [0, 0.25, 0.5, 0.75]],
    ['out/scale', [1, 1.25, 1.5, 1.75]],
  ])
  expect(model.file).toHaveLength((await fileOf(format)).length)
})

test('not where a byte of it, of its manifest or of its name is another', async () => {
  const raw = await fileOf('raw')
  const refused = async (transport: Transport, format: ModelFormat = 'raw') =>
    expect(downloadModel(transport, 'run_1', { format })).rejects.toBeInstanceOf(VerificationError)
  await refused(serving(changed(raw, 5)))
  await refused(serving(raw.slice(0, -4)))
  await refused(serving(raw, { block: changed(block, 40) }))
  await refused(serving(raw, { cid: cidOf(RAW, weights) }))
  await refused(serving(raw, { cid: '' }))
})

test('not where a header gives the same values other names', async () => {
  const text = new TextDecoder('latin1').decode(await fileOf('safetensors'))
  const swapped = text
    .replace('out/kernel', 'out/xxxxx')
    .replace('out/scale', 'out/kernel')
    .replace('out/xxxxx', 'out/scale')
  const lie = Uint8Array.from(swapped, (letter) => letter.charCodeAt(0))
  await expect(downloadModel(serving(lie), 'run_1', { format: 'safetensors' })).rejects.toThrow(/header/)
})

test('an archive is handed over where a check of the caller’s takes it, and not without one', async () => {
  const { 0: first } = await fileOf('npz')
  expect(first).toBe(0x50)
  await expect(downloadModel(serving(weights), 'run_1', { format: 'npz' })).rejects.toThrow(/check/)
  const told = downloadModel(serving(weights), 'run_1', { format: 'npz', check: () => false })
  await expect(told).rejects.toThrow(/not the model/)
})
