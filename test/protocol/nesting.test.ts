import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Tensor, tensor } from '@tensorflow/tfjs-core'
import * as layers from '@tensorflow/tfjs-layers'
import { openBackend } from '#client/trainers/backend.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { architectureOf } from '#protocol/topology/topology.ts'
import { noise } from '#test/client/trainers/tasks.ts'
import {
  answersOf,
  bytesOf,
  expectAnswers,
  expectClose,
  graph,
  input,
  keptOf,
  layer,
  savedOf,
  used,
} from './topologies.ts'

describe('a model within a model', () => {
  beforeAll(async () => {
    await openBackend('cpu')
  })

  test('of TF.js is laid out flat, and takes its weights along', async () => {
    const base = layers.sequential({ name: 'base' })
    base.add(layers.layers.dense({ name: 'seen', units: 5, inputShape: [4], activation: 'relu' }))
    base.add(layers.layers.batchNormalization({ name: 'norm' }))
    // Of a whole model TF.js does not keep it.
    for (const inner of base.layers) inner.trainable = false
    const row = layers.input({ shape: [4], name: 'row' })
    const both = layers.layers.concatenate().apply([base.apply(row) as layers.SymbolicTensor, row])
    const out = layers.layers.dense({ name: 'out', units: 3 }).apply(both) as layers.SymbolicTensor
    for (const theirs of [
      layers.model({ inputs: row, outputs: out }),
      layers.sequential({ layers: [layers.model({ name: 'whole', inputs: row, outputs: out })] }),
    ]) {
      const next = noise(9)
      const shapes = theirs.getWeights().map((weight) => weight.shape)
      theirs.setWeights(
        shapes.map((shape) =>
          tensor(
            Float32Array.from({ length: sizeOf({ shape }) }, () => Math.abs(next())),
            shape,
          ),
        ),
      )
      const { json, file } = await savedOf(theirs)
      const topology = architectureOf(json)
      if (!topology.ok) throw new Error(topology.detail)
      expect(shapeOf(topology.value.architecture)).toMatchObject({ value: { trained: 30, parameters: 75 } })
      const given = Float32Array.from({ length: 8 }, next)
      const expected = [...(theirs.predict(tensor(given, [2, 4])) as Tensor).dataSync()]
      expectClose(answersOf(topology.value, json, file, given), expected)
    }
  })

  test.each(keptOf('base', 'within'))('of %s answers as there', (name, kept) => {
    const { architecture } = expectAnswers(kept)
    const frozen = architecture.layers.flatMap((layer) => ('frozen' in layer && layer.frozen ? [layer.name] : []))
    expect(frozen).toEqual(name.includes('frozen') ? ['trunk.conv', 'trunk.norm'] : [])
    // Nothing is dropped where it is called as not in training.
    expect(architecture.layers.some(({ layer }) => layer === 'dropout')).toBe(!name.includes('frozen'))
  })

  const within = (config: object, more: object) => ({
    ...{ class_name: 'Functional', name: 'base', config: graph(used([['in', 0, 0, {}]])).config, inbound_nodes: [] },
    ...{ config: { ...graph(used([['in', 0, 0, {}]])).config, ...config }, ...more },
  })
  const head = (from: unknown) => used([from])
  test('that is frozen is so in all that it holds, whatever these say of themselves', () => {
    const frozen = within({ trainable: false }, { inbound_nodes: [[['in', 0, 0, {}]]] })
    const read = architectureOf(bytesOf(graph(frozen, head(['base', 1, 0, {}]))))
    if (!read.ok) throw new Error(read.detail)
    const [inner, outer] = read.value.architecture.layers
    expect(inner).toMatchObject({ name: 'base.odd', frozen: true })
    expect(outer).toEqual({ layer: 'dense', name: 'odd', units: 3, activation: 'linear' })
  })

  test.each([
    [
      'that is used twice',
      graph(within({}, { inbound_nodes: [[['in', 0, 0, {}]], [['in', 0, 0, {}]]] }), head(['base', 1, 0, {}])),
      'base is used 2 times',
    ],
    [
      'that is given more than it takes',
      graph(
        within(
          {},
          {
            inbound_nodes: [
              [
                ['in', 0, 0, {}],
                ['in', 0, 0, {}],
              ],
            ],
          },
        ),
        head(['base', 1, 0, {}]),
      ),
      'base takes 2 things, of 1',
    ],
    [
      'of which something is taken that it does not put out',
      graph(within({}, { inbound_nodes: [[['in', 0, 0, {}]]] }), head(['base', 1, 1, {}])),
      'odd takes what is not there',
    ],
    [
      'that takes from itself',
      graph(within({}, { inbound_nodes: [[['base', 1, 0, {}]]] }), head(['base', 1, 0, {}])),
      'takes what is not there',
    ],
    [
      'that puts out what was put in, to itself',
      graph(
        within({ output_layers: [['in', 0, 0]] }, { inbound_nodes: [[['base', 1, 0, {}]]] }),
        head(['base', 1, 0, {}]),
      ),
      'takes what is not there',
    ],
    [
      'with a layer that is refused, by both names',
      graph(
        within(
          {
            layers: [input, layer('Lambda', {}, { name: 'code', inbound_nodes: [[['in', 0, 0, {}]]] })],
            output_layers: [['code', 0, 0]],
          },
          { inbound_nodes: [[['in', 0, 0, {}]]] },
        ),
        head(['base', 1, 0, {}]),
      ),
      'base.code is a Lambda',
    ],
    [
      'with a dropout that never ends',
      graph({
        class_name: 'Dropout',
        name: 'odd',
        config: { rate: 0.5 },
        inbound_nodes: [[['in', 0, 0, { training: true }]]],
      }),
      'odd: it is called as in training',
    ],
    [
      'with a normalisation that learns and yet is called as not in training',
      graph({
        class_name: 'BatchNormalization',
        name: 'odd',
        config: {},
        inbound_nodes: [[['in', 0, 0, { training: false }]]],
      }),
      'odd: it is called as not in training',
    ],
  ])('%s is refused', (_name, model, message) => {
    const read = architectureOf(bytesOf(model))
    if (read.ok) throw new Error('it was read')
    expect(`${read.refusal}: ${read.detail}`).toContain(message)
  })
})
