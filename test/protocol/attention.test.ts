import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openBackend } from '#client/trainers/backend.ts'
import { utf8 } from '#protocol/bytes.ts'
import { architectureOf } from '#protocol/topology/topology.ts'
import { bytesOf, expectAnswers, graph, keptOf, layer, sequential } from './topologies.ts'

beforeAll(async () => {
  await openBackend('cpu')
})

const rows = {
  ...{ class_name: 'InputLayer', name: 'rows', inbound_nodes: [] },
  config: { batch_input_shape: [null, 6, 5] },
}
const model = (node: unknown, config: object = {}, more: object = {}) => ({
  class_name: 'Functional',
  config: {
    layers: [
      rows,
      {
        class_name: 'MultiHeadAttention',
        name: 'odd',
        config: { num_heads: 2, key_dim: 3, ...config },
        inbound_nodes: [node],
      },
    ],
    ...{ input_layers: [['rows', 0, 0]], output_layers: [['odd', 0, 0]] },
  },
  ...more,
})
const old = (told: object = {}) => [['rows', 0, 0, { value: ['rows', 0, 0], ...told }]]
const place = { class_name: '__keras_tensor__', config: { shape: [null, 6, 5], keras_history: ['rows', 0, 0] } }

describe('attention of several heads', () => {
  test.each(keptOf('attention'))('of %s answers as there, GRUs beside it as they come', (_, kept) => {
    const { architecture } = expectAnswers(kept)
    const attentions = architecture.layers.filter((each) => each.layer === 'attention')
    expect(attentions).toMatchObject([{ causal: true }, { from: ['cross_query', 'cross_key', 'cross_value'] }])
    expect(attentions[0]).not.toHaveProperty('dropoutMicro')
    expect(attentions[1]).toMatchObject({ heads: 2, dropoutMicro: 100_000 })
    expect(architecture.layers.filter((each) => each.layer === 'gru' && each.resetAfter)).toHaveLength(3)
  })

  test('drops nothing where the model is called as not in training, and is frozen whole', () => {
    const told = model(old({ training: false }), { dropout: 0.5, trainable: false, use_bias: false })
    const read = architectureOf(bytesOf(told))
    if (!read.ok) throw new Error(read.detail)
    const [queries, , , heads, out] = read.value.architecture.layers
    expect(queries).toEqual({
      ...{ layer: 'dense', name: 'odd_query', from: ['input'], units: 6, activation: 'linear' },
      ...{ bias: false, frozen: true },
    })
    expect(heads).not.toHaveProperty('dropoutMicro')
    expect(out).toMatchObject({ name: 'odd', units: 5, frozen: true })
  })

  test('in a Keras that is told what it takes by name, by place, or in part', () => {
    const kwargs = { query: place, value: place, key: null, query_mask: null, training: true }
    for (const node of [
      { args: [], kwargs },
      { args: [place, place, null] },
      { args: [place], kwargs: { value: place } },
    ])
      expect(architectureOf(bytesOf(model(node)))).toMatchObject({
        ok: true,
        value: { architecture: { layers: { length: 5 } } },
      })
  })

  test('in no other way than by a refusal is not read, whatever is in it', () => {
    const good = JSON.stringify(model(old({ use_causal_mask: true })))
    let read = 0
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(20), fc.string({ maxLength: 6 }), (at, length, text) => {
        if (architectureOf(utf8(good.slice(0, at) + text + good.slice(at + length))).ok) read++
      }),
      { numRuns: 300 },
    )
    expect(read).toBeGreaterThan(0)
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (node, config) => {
        architectureOf(bytesOf(model(node)))
        architectureOf(bytesOf(model([['rows', 0, 0, node]], { called: config })))
        architectureOf(bytesOf(model(old(), config as object)))
      }),
    )
  })

  test.each([
    ['with a mask', model(old({ attention_mask: ['rows', 0, 0] })), 'odd: called.attention_mask: steps are not masked'],
    [
      'of Keras 3 with a mask',
      model({ args: [place, place], kwargs: { attention_mask: place } }),
      'called.attention_mask',
    ],
    ['whose scores are asked for', model(old({ return_attention_scores: true })), 'called.return_attention_scores'],
    ['called in a way that nobody knows', model(old({ temperature: 2 })), 'odd: called'],
    ['along other axes', model(old(), { attention_axes: [2] }), 'odd: attention_axes: steps alone'],
    ['that sees a window', model(old(), { sliding_window: 3 }), 'odd: sliding_window'],
    ['with a gate', model(old(), { use_gate: true }), 'odd: use_gate'],
    ['of several sides at its end', model(old(), { output_shape: [2, 3] }), 'odd: output_shape: one number'],
    ['of more heads than anybody has', model(old(), { num_heads: 10 ** 9, key_dim: 10 ** 9 }), 'odd: units'],
    ['that drops where nobody trains', model(old({ training: true }), { dropout: 0.5 }), 'as in training even where'],
    [
      'that takes its keys for values',
      model([['rows', 0, 0, { key: ['rows', 0, 0] }]]),
      'what odd takes cannot be read',
    ],
    [
      'of Keras 3 that takes four things',
      model({ args: [place, place, place, place] }),
      'what odd takes cannot be read',
    ],
    ['that takes one thing', model([['rows', 0, 0, {}]]), 'what odd takes cannot be read'],
    ['that takes what is no layer', model(old({ key: 7 })), 'what odd takes cannot be read'],
    [
      'in a chain',
      sequential(layer('MultiHeadAttention', { num_heads: 2, key_dim: 3, batch_input_shape: [null, 6, 5] })),
      'odd: called: it takes queries and values',
    ],
  ])('is refused %s', (_, told, message) => {
    const read = architectureOf(bytesOf(told))
    if (read.ok) throw new Error('it was read')
    expect(`${read.refusal}: ${read.detail}`).toContain(message)
  })
})

describe('what Keras 2 writes for an operator', () => {
  const written = (fn: string, told: object) =>
    graph({
      ...{ class_name: 'TFOpLambda', name: 'odd', config: { name: 'odd', trainable: true, function: fn } },
      inbound_nodes: [['in', 0, 0, told]],
    })

  test.each([
    ['__operators__.add', 'add'],
    ['math.multiply', 'multiply'],
  ])('%s of two layers is one', (fn, kind) => {
    const read = architectureOf(bytesOf(written(fn, { y: ['in', 0, 0], name: null })))
    expect(read).toMatchObject({
      value: { architecture: { layers: [{ layer: kind, name: 'odd', from: ['input', 'input'] }] } },
    })
  })

  test.each([
    ['of a number', '__operators__.add', { y: 1 }, 'what odd takes cannot be read'],
    ['that is another', 'math.subtract', { y: ['in', 0, 0] }, 'odd: function: only sums and products'],
    ['in another way', 'math.add', { y: ['in', 0, 0], odd: 3 }, 'odd: called'],
  ])('is refused %s', (_, fn, told, message) => {
    const read = architectureOf(bytesOf(written(fn, told)))
    if (read.ok) throw new Error('it was read')
    expect(`${read.refusal}: ${read.detail}`).toContain(message)
  })
})
