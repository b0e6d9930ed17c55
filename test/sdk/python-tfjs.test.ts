import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { modelFile } from '#protocol/formats/model-file.ts'
import type { Layer } from '#protocol/layers.ts'
import { architectures } from '#test/client/trainers/architectures.ts'

const here = spawnSync('python3', ['--version']).status === 0 ? test : test.skip

/** Of each model its ZIP, as base64; or why there is none. */
const SCRIPT = `
import base64, json, sys
import consilium

def made(one):
    data, tensors = base64.b64decode(one["weights"]), []
    for name, shape in one["tensors"]:
        size = 4 * consilium.math.prod(shape)
        tensors, data = tensors + [(name, tuple(shape), data[:size])], data[size:]
    try:
        return base64.b64encode(consilium._layers_model(one["cid"], base64.b64decode(one["architecture"]), tensors)).decode()
    except (consilium.NoCounterpart, consilium.VerificationError) as cause:
        return type(cause).__name__ + ": " + str(cause)
json.dump([made(one) for one in json.load(sys.stdin)], sys.stdout)
`

function inPython(models: readonly object[]): readonly string[] {
  const env = { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: join(process.cwd(), 'sdk/python') }
  const input = JSON.stringify(models)
  const { stdout, stderr } = spawnSync('python3', ['-c', SCRIPT], { env, input, maxBuffer: 2 ** 30, encoding: 'utf8' })
  if (stderr !== '') throw new Error(stderr)
  return JSON.parse(stdout)
}

async function told(architecture: Architecture) {
  const shape = shapeOf(architecture)
  if (!shape.ok) throw new Error(shape.refusal)
  const weights = encodeWeights(Float32Array.from({ length: shape.value.parameters }, (_, at) => at / 4))
  const block = encode(architectureSchema, architecture)
  const cid = cidOf(RAW, weights)
  const manifest = modelManifestOf(cidOf(DAG_CBOR, block), shape.value.tensors, cid)
  const file = modelFile('tfjs', { cid, manifest, architecture }, once(weights))
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const tensors = manifest.tensors.map(({ name, shape }) => [name, shape])
  return {
    given: { cid, architecture: base64(block), weights: base64(weights), tensors },
    due: file.ok ? base64(await collect(file.value, 2 ** 30)) : `NoCounterpart: ${file.detail}`,
  }
}

/** Of layers on an image of 6 x 6 with 2 colours, or as told. */
const of = (layers: readonly Layer[], input: readonly number[] = [6, 6, 2]): Architecture => ({ v: 1, input, layers })
const dense = (name: string): Layer => ({ layer: 'dense', name, units: 2, activation: 'hardSigmoid', bias: false })
/** What is rare, and numbers that the two languages spell otherwise unless they are told. */
const RARE: readonly Architecture[] = [
  ...[1, 15, 123, 999, 1000, 1001, 20_000, 1_000_000_000].map((epsilonNano) =>
    of([{ layer: 'batchNormalization', name: 'größe "\u0001', momentumMicro: 990_000, epsilonNano }, dense('out')]),
  ),
  ...[0, 1, 99, 100, 999_999].map((momentumMicro) =>
    of([{ layer: 'batchNormalization', name: 'n', momentumMicro, epsilonNano: 5 }, dense('out')]),
  ),
  of([{ layer: 'activation', name: 'a', activation: 'leakyRelu' }, dense('out')]),
  of([{ layer: 'activation', name: 'a', activation: 'leakyRelu', slopeMicro: 1_000_000 }, dense('out')]),
  of([{ layer: 'activation', name: 'a', activation: 'leakyRelu', slopeMicro: 0 }, dense('out')]),
  of([{ layer: 'globalPooling', name: 'g', of: 'max' }, dense('out')]),
  of([{ layer: 'globalPooling', name: 'g', of: 'average' }, dense('out')], [6, 2]),
  of(
    [{ layer: 'conv1d', name: 'c', filters: 2, kernel: 2, stride: 1, padding: 'causal', activation: 'linear' }],
    [6, 2],
  ),
  of(
    [
      { layer: 'part', name: 'left', from: ['input'], offset: 0, shape: [4] },
      { layer: 'part', name: 'right', from: ['input'], offset: 4, shape: [2, 1] },
      { layer: 'flatten', name: 'flat' },
      { layer: 'concatenate', name: 'both', from: ['left', 'flat'] },
      dense('out'),
    ],
    [6],
  ),
  // The last of the row is left out.
  of([{ layer: 'part', name: 'left', from: ['input'], offset: 0, shape: [4] }, dense('out')], [6]),
  of([{ ...dense('big'), units: 200_000 } as Layer, dense('out')], [6]),
]

here(
  'the Python client makes of any architecture what the coordinator makes of it for TF.js, to the byte',
  async () => {
    const drawn = fc.sample(architectures(), { numRuns: 150, seed: 5 }).map(({ architecture }) => architecture)
    const models = await Promise.all([...RARE, ...drawn].map(told))
    expect(inPython(models.map(({ given }) => given))).toEqual(models.map(({ due }) => due))
    const kinds = new Set([...RARE, ...drawn].flatMap(({ layers }) => layers.map(({ layer }) => layer)))
    expect(kinds.size).toBeGreaterThan(20)
    expect(models.filter(({ due }) => !due.startsWith('NoCounterpart')).length).toBeGreaterThan(60)
  },
)

here('and refuses what is no architecture at all, whatever its hash says', async () => {
  const { given } = await told(RARE[0] as Architecture)
  const strange = ['', 'oA==', Buffer.from('a1666c617965727381a0', 'hex').toString('base64')]
  for (const answer of inPython(strange.map((architecture) => ({ ...given, architecture }))))
    expect(answer).toMatch(/^VerificationError: /)
})
