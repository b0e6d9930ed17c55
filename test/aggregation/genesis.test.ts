import { createCipheriv, createHash, hkdfSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { genesisWeights } from '#aggregation/genesis.ts'
import { decodeWeights, encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { decode, encode } from '#protocol/codec.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { must, seed } from './given.ts'

const architecture: Architecture = {
  v: 1,
  input: [28, 28, 1],
  layers: [
    { layer: 'conv2d', name: 'c1', filters: 8, kernel: [5, 5], strides: [2, 2], padding: 'same', activation: 'relu' },
    { layer: 'maxPooling2d', name: 'p1', pool: [2, 2], strides: [2, 2] },
    { layer: 'flatten', name: 'flat' },
    { layer: 'dense', name: 'out', units: 10, activation: 'linear' },
  ],
}
const { tensors, parameters } = must(shapeOf(architecture))

describe('the first weights', () => {
  const weights = genesisWeights(architecture, seed(1))

  test('are these, for ever', () => {
    expect(createHash('sha256').update(encodeWeights(weights)).digest('hex')).toBe(
      'b87d350bcccc3bd70519424611c232741bf9cdafde2fcbf37299a81f167325bb',
    )
  })

  test('are the Glorot draw that docs/protocol.md describes, by another route', () => {
    const expected = new DataView(new ArrayBuffer(parameters * 4))
    let at = 0
    for (const [index, tensor] of tensors.entries()) {
      const size = tensor.shape.reduce((product, side) => product * side, 1)
      const info = Buffer.concat([Buffer.from('consilium/1 genesis\0'), Buffer.from([0, 0, 0, 0, 0, 0, 0, index])])
      const key = new Uint8Array(hkdfSync('sha256', seed(1), '', info, 32))
      const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size * 4))
      if (tensor.name.endsWith('/kernel')) {
        const [fanIn, fanOut] = tensor.name === 'c1/kernel' ? [25, 200] : [392, 10]
        for (let i = 0; i < size; i++) {
          const unit = stream.readUInt32LE(i * 4) / 4_294_967_296
          expected.setFloat32((at + i) * 4, (2 * unit - 1) * Math.sqrt(6 / (fanIn + fanOut)), true)
        }
      }
      at += size
    }
    expect(at).toBe(parameters)
    expect(Buffer.from(encodeWeights(weights)).equals(Buffer.from(expected.buffer))).toBe(true)
  })

  test('use the whole of their range and centre on zero', () => {
    const kernel = weights.subarray(208, 208 + 3920)
    const limit = Math.sqrt(6 / 402)
    expect(Math.max(...kernel)).toBeLessThan(limit)
    expect(Math.max(...kernel)).toBeGreaterThan(0.99 * limit)
    expect(Math.min(...kernel)).toBeGreaterThanOrEqual(-limit)
    expect(Math.min(...kernel)).toBeLessThan(-0.99 * limit)
    // The mean of n uniform draws deviates by limit / √(3n).
    expect(Math.abs(kernel.reduce((sum, weight) => sum + weight, 0) / 3920)).toBeLessThan(
      (5 * limit) / Math.sqrt(3 * 3920),
    )
  })

  test('of one tensor do not change when a layer is added after it', () => {
    const longer: Architecture = {
      ...architecture,
      layers: [...architecture.layers, { layer: 'dense', name: 'more', units: 2, activation: 'linear' }],
    }
    expect(genesisWeights(longer, seed(1)).subarray(0, parameters)).toEqual(weights)
  })

  test('of another task are others', () => {
    expect(genesisWeights(architecture, seed(2))).not.toEqual(weights)
  })
})

describe('a weights file', () => {
  test('gives the weights back, at any address', () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true }), fc.nat(5), (weights, offset) => {
        const bytes = new Uint8Array(weights.length * 4 + offset)
        bytes.set(encodeWeights(weights), offset)
        const back = must(decodeWeights(bytes.subarray(offset), weights.length))
        expect([...back].every((weight, index) => Object.is(weight, weights[index]))).toBe(true)
      }),
    )
  })

  test('is little-endian', () => {
    expect([...encodeWeights(Float32Array.of(1, -2))]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0])
  })

  test('is read into memory of its own: training does not write into the store', () => {
    const bytes = encodeWeights(Float32Array.of(1))
    must(decodeWeights(bytes, 1))[0] = 5
    expect([...bytes]).toEqual([0, 0, 0x80, 0x3f])
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('with %d in it is refused', (bad) => {
    expect(decodeWeights(encodeWeights(Float32Array.of(1, bad)), 2)).toMatchObject({ refusal: 'not-finite' })
  })

  test.each([0, 7, 9, 12])('of %i bytes for two parameters is refused', (sizeBytes) => {
    expect(decodeWeights(new Uint8Array(sizeBytes), 2)).toMatchObject({ refusal: 'wrong-length' })
  })
})

test('a model manifest says the tensors in the order of the file and nothing of the initialiser', () => {
  const [shape, weights] = [cidOf(DAG_CBOR, encode(architectureSchema, architecture)), cidOf(RAW, utf8('weights'))]
  const manifest = modelManifestOf(shape, tensors, weights)
  expect(must(decode(modelSchema, encode(modelSchema, manifest), BLOCK_BYTES_MAX))).toEqual(manifest)
  expect(manifest.tensors).toEqual([
    { name: 'c1/kernel', shape: [5, 5, 1, 8], role: 'trainable' },
    { name: 'c1/bias', shape: [8], role: 'trainable' },
    { name: 'out/kernel', shape: [392, 10], role: 'trainable' },
    { name: 'out/bias', shape: [10], role: 'trainable' },
  ])
})
