import { beforeAll, describe, expect, test } from '@jest/globals'
import { openBackend } from '#client/trainers/backend.ts'
import { architectureOf } from '#protocol/topology/topology.ts'
import { bytesOf, expectAnswers, keptOf, layer, sequential } from './topologies.ts'

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
