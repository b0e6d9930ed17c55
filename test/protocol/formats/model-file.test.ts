import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Tensor, tensor } from '@tensorflow/tfjs-core'
import * as layers from '@tensorflow/tfjs-layers'
import fc from 'fast-check'
import { unzipSync, Zip, ZipPassThrough } from 'fflate'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { openBackend } from '#client/trainers/backend.ts'
import { buildNetwork } from '#client/trainers/network.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, concat, once, toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type AddressedModel, MODEL_FORMATS, type ModelFormat, modelFile } from '#protocol/formats/model-file.ts'
import { npyHeader } from '#protocol/formats/npy.ts'
import { safetensorsHeader } from '#protocol/formats/safetensors.ts'
import { zipOf } from '#protocol/formats/zip.ts'
import type { Bytes } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { architectures } from '#test/client/trainers/architectures.ts'
import { noise, someModel } from '#test/client/trainers/tasks.ts'
import { temporaryFolder } from '#test/folder.ts'

type Made = AddressedModel & { readonly weights: Float32Array }

const WIDE = 2 ** 30

function made(architecture: Architecture, weights: Float32Array): Made {
  const shape = shapeOf(architecture)
  if (!shape.ok) throw new Error(shape.refusal)
  const block = cidOf(DAG_CBOR, encode(architectureSchema, architecture))
  const manifest = modelManifestOf(block, shape.value.tensors, cidOf(RAW, encodeWeights(weights)))
  return { cid: cidOf(DAG_CBOR, encode(modelSchema, manifest)), manifest, architecture, weights }
}

/** @param cut of the pieces that the weights come in */
async function fileOf(format: ModelFormat, model: Made, cut = 1000): Promise<Bytes> {
  const file = modelFile(format, model, pieces(encodeWeights(model.weights), cut))
  if (!file.ok) throw new Error(`${file.refusal}: ${file.detail}`)
  return collect(file.value, WIDE)
}

function isKept(format: ModelFormat, model: Made): boolean {
  return modelFile(format, model, once(new Uint8Array(0))).ok
}

async function* pieces(bytes: Bytes, size: number): AsyncIterable<Bytes> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const SMALL: Architecture = {
  v: 1,
  input: [2],
  layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
}
const ofSmall = () => made(SMALL, Float32Array.of(1, -2, 0.5))

/** An array by its own header, as a reader that knows NPY 1.0 and nothing of us has it. */
function readNpy(bytes: Bytes): { readonly shape: readonly number[]; readonly values: readonly number[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const length = view.getUint16(8, true)
  const [, tuple] = /^\{'descr': '<f4', 'fortran_order': False, 'shape': \((.*?),?\), \} *\n$/.exec(
    new TextDecoder().decode(bytes.subarray(10, 10 + length)),
  ) as unknown as [string, string]
  const values = Array.from({ length: (bytes.length - 10 - length) / 4 }, (_, at) =>
    view.getFloat32(10 + length + at * 4, true),
  )
  return { shape: tuple === '' ? [] : tuple.split(', ').map(Number), values }
}

test('an NPY header is that of NumPy, to the byte', () => {
  const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
  const header = Buffer.concat([
    ...[Buffer.from('934e554d50590100', 'hex'), Buffer.from('7600', 'hex')],
    Buffer.from(`${text.padEnd(117)}\n`),
  ])
  expect(toHex(npyHeader([3, 4]))).toBe(header.toString('hex'))
  for (const [shape, told] of [
    [[], '()'],
    [[7], '(7,)'],
    [[1, 2, 3, 4], '(1, 2, 3, 4)'],
  ] as const) {
    const bytes = npyHeader(shape)
    expect(bytes.length % 64).toBe(0)
    expect(new TextDecoder().decode(bytes)).toContain(`'shape': ${told}, }`)
  }
})

test('a safetensors file is eight bytes of length, padded JSON, and the weights as they are', async () => {
  const { manifest, cid } = ofSmall()
  const file = await fileOf('safetensors', ofSmall())
  const text = JSON.stringify({
    __metadata__: { model: cid, architecture: manifest.architecture },
    'out/kernel': { dtype: 'F32', shape: [2, 1], data_offsets: [0, 8] },
    'out/bias': { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
  })
  const size = Math.ceil(text.length / 8) * 8
  const expected = Buffer.concat([
    ...[Buffer.from([size & 255, size >> 8, 0, 0, 0, 0, 0, 0]), Buffer.from(text.padEnd(size))],
    Buffer.from('0000803f000000c00000003f', 'hex'),
  ])
  expect(toHex(file)).toBe(expected.toString('hex'))
  expect(safetensorsHeader([], {}).length % 8).toBe(0)
})

test('every format holds the same weights, however they come, and is the same file again', async () => {
  await fc.assert(
    fc.asyncProperty(architectures(), fc.integer({ min: 1, max: 5000 }), async ({ architecture }, cut) => {
      const model = made(architecture, someModel(architecture, cut))
      const weights = toHex(encodeWeights(model.weights))
      for (const format of MODEL_FORMATS) {
        if (format === 'tfjs' && !isKept('tfjs', model)) continue
        const file = await fileOf(format, model, cut)
        expect(toHex(file)).toBe(toHex(await fileOf(format, model, 65_536)))
        if (format === 'raw') expect(toHex(file)).toBe(weights)
        if (format === 'safetensors') expect(toHex(file).endsWith(weights)).toBe(true)
        if (format === 'npz') {
          const arrays = Object.entries(unzipSync(file)).map(([name, bytes]) => ({ name, ...readNpy(bytes as Bytes) }))
          expect(arrays.map(({ name, shape }) => ({ name, shape }))).toEqual(
            model.manifest.tensors.map(({ name, shape }) => ({ name: `${name}.npy`, shape })),
          )
          expect(arrays.flatMap(({ values }) => values)).toEqual([...model.weights])
        }
        if (format === 'tfjs') {
          const { 'model.json': json, ...shards } = unzipSync(file)
          expect(json).toBeDefined()
          expect(
            Object.values(shards)
              .map((shard) => toHex(shard as Bytes))
              .join(''),
          ).toBe(weights)
        }
      }
    }),
    { numRuns: 25, seed: 5 },
  )
})

test('an archive is the one that another writer of ZIPs makes of the same entries, to the byte', async () => {
  const content = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b/c', 'größe'), content), { maxLength: 4 }),
      async (all) => {
        const ready: Bytes[] = []
        const zip = new Zip((_, piece) => ready.push(piece))
        for (const [name, parts] of all) {
          const entry = new ZipPassThrough(name)
          entry.mtime = new Date(1980, 0, 1)
          zip.add(entry)
          for (const part of parts) entry.push(part)
          entry.push(new Uint8Array(0), true)
        }
        zip.end()
        const ours = all.map(([name, parts]) => ({ name, content: Readable.from(parts) }))
        expect(toHex(await collect(zipOf(ours), WIDE))).toBe(toHex(concat(...ready)))
      },
    ),
    { numRuns: 30 },
  )
})

test('what ends early, or does not end, makes no file', async () => {
  const { weights, ...model } = ofSmall()
  const bytes = encodeWeights(weights)
  for (const given of [bytes.slice(0, 11), new Uint8Array([...bytes, 0])]) {
    const file = modelFile('npz', model, once(given))
    if (!file.ok) throw new Error(file.refusal)
    await expect(collect(file.value, WIDE)).rejects.toThrow(/weights/)
  }
})

test('no name of a layer leads out of the folder that it is unpacked in', async () => {
  const names = ['../../etc/x', '/absolute', 'a\\b', 'C:x', 'x/./y', '\u0000', '%2E%2E']
  const architecture: Architecture = {
    ...{ v: 1, input: [1] },
    layers: names.map((name) => ({ layer: 'dense', name, units: 1, activation: 'linear' }) as const),
  }
  const file = await fileOf('npz', made(architecture, new Float32Array(2 * names.length)))
  const entries = Object.keys(unzipSync(file))
  expect(entries).toHaveLength(new Set(entries).size)
  expect(entries).toHaveLength(2 * names.length)
  for (const entry of entries)
    expect(entry.split('/').every((part) => /^[^\\:*?"<>|\p{Cc}]*[^./][^\\:]*$/u.test(part))).toBe(true)
})

test('an architecture without a counterpart in Keras has no such file, and says which layer it is', () => {
  const { weights: _, ...model } = made(
    { ...SMALL, layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'leakyRelu' }] },
    new Float32Array(3),
  )
  const file = modelFile('tfjs', model, once(new Uint8Array(12)))
  expect(file).toMatchObject({ ok: false, refusal: 'no-counterpart', detail: expect.stringContaining('out (dense)') })
})

describe('in TF.js', () => {
  beforeAll(async () => {
    await openBackend('cpu')
  })

  test('a model that was handed over is loaded, and predicts what our trainer does', async () => {
    let compared = 0
    for (const { architecture, vocabulary } of fc.sample(architectures(), { numRuns: 40, seed: 7 })) {
      const weights = someModel(architecture, compared)
      if (!isKept('tfjs', made(architecture, weights))) continue
      const { 'model.json': json, ...shards } = unzipSync(await fileOf('tfjs', made(architecture, weights)))
      const { modelTopology, weightsManifest, format } = JSON.parse(new TextDecoder().decode(json))
      const [{ paths, weights: weightSpecs }] = weightsManifest
      const weightData = Uint8Array.from(paths.flatMap((path: string) => [...(shards[path] as Bytes)])).buffer
      const theirs = await layers.loadLayersModel({
        load: async () => ({ modelTopology, weightSpecs, weightData, format }),
      })
      const ours = buildNetwork(architecture)
      ours.write(weights)
      const next = noise(compared)
      const x = Float32Array.from({ length: 3 * sizeOf({ shape: architecture.input }) }, () =>
        vocabulary ? Math.floor(((next() + 1) / 2) * vocabulary) : next(),
      )
      const rows = tensor(x, [3, ...architecture.input])
      const [found, expected] = [theirs.predict(rows) as Tensor, ours.predict(rows)].map((each) => [...each.dataSync()])
      const scale = Math.max(1e-3, ...(expected as number[]).map(Math.abs))
      const errors = (found as number[]).map((value, at) => Math.abs(value - (expected?.[at] as number)))
      expect(Math.max(...errors) / scale).toBeLessThan(2e-5)
      ours.dispose()
      theirs.dispose()
      compared++
    }
    expect(compared).toBeGreaterThan(10)
  })
})

describe('in Python', () => {
  const run = promisify(execFile)
  const python = process.env['CONSILIUM_PYTHON'] ?? 'python3'

  test('NumPy and safetensors read the same arrays', async () => {
    const has = async (module: string) =>
      run(python, ['-c', `import ${module}`]).then(
        () => true,
        () => false,
      )
    if (!(await has('numpy'))) return console.warn('skipped: there is no python3 with numpy on the PATH')
    await using folder = await temporaryFolder()
    const model = ofSmall()
    const [npz, safetensors] = [join(folder.path, 'm.npz'), join(folder.path, 'm.safetensors')]
    await writeFile(npz, await fileOf('npz', model))
    await writeFile(safetensors, await fileOf('safetensors', model))
    const told = `
import json, sys, numpy as np
show = lambda arrays: {n: [str(arrays[n].dtype), list(arrays[n].shape), arrays[n].ravel().tolist()] for n in arrays}
with np.load(sys.argv[1], allow_pickle=False) as m: print(json.dumps(show(m)))
try:
  from safetensors.numpy import load_file
  print(json.dumps(show(load_file(sys.argv[2]))))
except ImportError: pass`
    const { stdout } = await run(python, ['-c', told, npz, safetensors])
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    if (lines.length === 1) console.warn('skipped: there is no safetensors for this python3')
    const expected = { 'out/kernel': ['float32', [2, 1], [1, -2]], 'out/bias': ['float32', [1], [0.5]] }
    for (const read of lines) expect(read).toEqual(expected)
  })
})
