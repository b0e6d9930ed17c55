import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Scalar, type Tensor, tensor, tidy, type Variable, variableGrads } from '@tensorflow/tfjs-core'
import * as layers from '@tensorflow/tfjs-layers'
import { openBackend } from '#client/trainers/backend.ts'
import { lossSum } from '#client/trainers/loss.ts'
import { buildNetwork } from '#client/trainers/network.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureOf } from '#protocol/topology/topology.ts'
import { weightsOf } from '#protocol/topology/weights.ts'
import { noise } from '#test/client/trainers/tasks.ts'
import { bytesOf, expectAnswers, keptOf, layer, savedOf, sequential } from './topologies.ts'

beforeAll(async () => {
  await openBackend('cpu')
})

const merges = ['concat', 'sum', 'mul', 'ave'] as const
const cases = merges.flatMap((mergeMode) =>
  (['lstm', 'gru', 'simpleRNN'] as const).flatMap((kind) =>
    [true, false].map((sequences) => ({ mergeMode, kind, sequences })),
  ),
)

describe('what goes both ways', () => {
  test.each(cases)(
    'as $kind by $mergeMode, sequences: $sequences, gives and learns what it does in TF.js',
    async (one) => {
      const { mergeMode, kind, sequences } = one
      const gates = { recurrentActivation: 'sigmoid', recurrentInitializer: 'glorotUniform' } as const
      const options = { name: 'cells', units: 3, returnSequences: sequences, ...gates }
      const cells = layers.layers[kind](options as never) as layers.RNN
      const both = layers.layers.bidirectional({ name: 'both', layer: cells, mergeMode, inputShape: [4, 2] })
      const theirs = layers.sequential({ layers: [both, ...(sequences ? [layers.layers.flatten()] : [])] })
      theirs.add(layers.layers.dense({ name: 'out', units: 3 }))
      const { json, file } = await savedOf(theirs)
      const read = architectureOf(json)
      if (!read.ok) throw new Error(`${read.refusal}: ${read.detail}`)
      const { architecture } = read.value
      const weights = weightsOf(read.value, json, file)
      if (!weights.ok) throw new Error(`${weights.refusal}: ${weights.detail}`)
      const ours = buildNetwork(architecture)
      ours.write(weights.value)
      const next = noise(4)
      const rows = tensor(Float32Array.from({ length: 16 }, next), [2, 4, 2])
      const targets = tensor([0, 1, 0, 1, 0, 0], [2, 3])
      const slopes = (predict: () => Tensor, variables: readonly Variable[]) =>
        tidy(() => {
          const { value, grads } = variableGrads(
            () => lossSum('softmax-cross-entropy', predict(), targets) as Scalar,
            [...variables],
          )
          return [
            value.dataSync()[0] as number,
            variables.map(({ name }) => [...(grads[name] as Tensor).dataSync()]),
          ] as const
        })
      const variables = theirs.trainableWeights.map((weight) => (weight as unknown as { val: Variable }).val)
      const [loss, expected] = slopes(() => theirs.apply(rows, { training: true }) as Tensor, variables)
      const [found, gradients] = slopes(() => ours.predict(rows, { next: () => 0 }), ours.trainable)
      expect(found).toBeCloseTo(loss, 5)
      // Both list what goes forwards before what goes back, and a kernel before its recurrent kernel and its bias.
      expect(gradients).toHaveLength(expected.length)
      for (const [at, gradient] of gradients.entries())
        for (const [place, slope] of gradient.entries()) expect(slope).toBeCloseTo(expected[at]?.[place] as number, 5)
      expect(shapeOf(architecture)).toMatchObject({ ok: true, value: { parameters: weights.value.length } })
      ours.dispose()
    },
  )

  test.each(keptOf('both ways'))('of %s answers as there', (_, kept) => {
    expectAnswers(kept)
  })

  const cells = { units: 2, activation: 'tanh', recurrent_activation: 'sigmoid' }
  const lstm = (config: object) => ({ class_name: 'LSTM', config: { ...cells, ...config } })
  test.each([
    ['around what is not recurrent', { layer: { class_name: 'Dense', config: { units: 2 } } }, 'odd: layer'],
    ['that is not put together', { layer: lstm({}), merge_mode: null }, 'odd: merge_mode: say how'],
    ['whose first goes back', { layer: lstm({ go_backwards: true }) }, 'the first of the two goes forwards'],
    [
      'of other widths that are added',
      { layer: lstm({}), backward_layer: lstm({ go_backwards: true, units: 3 }), merge_mode: 'sum' },
      'two of other widths are concatenated',
    ],
    [
      'of sequences and an end',
      { layer: lstm({ return_sequences: true }), backward_layer: lstm({ go_backwards: true }) },
      'both return sequences, or neither',
    ],
  ])('is refused %s', (_, config, message) => {
    const read = architectureOf(
      bytesOf(sequential(layer('Bidirectional', { batch_input_shape: [null, 4, 2], ...config }))),
    )
    if (read.ok) throw new Error('it was read')
    expect(`${read.refusal}: ${read.detail}`).toContain(message)
  })
})
