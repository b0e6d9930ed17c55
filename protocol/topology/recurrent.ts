import { z } from 'zod'
import type { Layer } from '../layers.ts'
import { type Convert, type Converted, frozenOf, of } from './conversion.ts'
import { absent, activationIn, common, ignored, only, weighed } from './options.ts'

type Kind = keyof typeof OURS
const OURS = { LSTM: 'lstm', GRU: 'gru', SimpleRNN: 'simpleRnn' } as const

function optionsOf(kind: Kind) {
  return z.strictObject({
    ...common,
    ...weighed('kernel', 'recurrent', 'bias'),
    name: z.string().optional(),
    units: z.int(),
    activation: activationIn.pipe(z.literal('tanh', 'only tanh')),
    recurrent_activation: kind === 'SimpleRNN' ? ignored : activationIn.pipe(z.literal('sigmoid', 'only sigmoid')),
    use_bias: only(true, 'leave it true'),
    ...{
      unit_forget_bias: ignored,
      implementation: ignored,
      unroll: ignored,
      zero_output_for_mask: ignored,
      use_cudnn: ignored,
    },
    return_sequences: z.boolean().default(false),
    return_state: only(false, 'only what a layer puts out is passed on'),
    go_backwards: z.boolean().default(false),
    stateful: only(false, 'rows know nothing of each other: leave it out'),
    time_major: only(false, 'rows come first'),
    dropout: only(0, 'put a Dropout before it'),
    recurrent_dropout: only(0, 'put a Dropout after it'),
    reset_after: kind === 'GRU' ? z.boolean('say whether the reset gate comes after the product') : ignored,
    input_length: ignored,
    input_dim: ignored,
  })
}

type Options = z.output<ReturnType<typeof optionsOf>>

function layerOf(kind: Kind, name: string, config: Options): Layer {
  return {
    ...{ layer: OURS[kind], name, units: config.units },
    ...(config.return_sequences && { sequences: true }),
    ...(config.go_backwards && { backwards: true }),
    ...(kind === 'GRU' && config.reset_after === true && { resetAfter: true }),
    ...frozenOf(config),
  }
}

export function recurrent(kind: Kind): Convert {
  return of(optionsOf(kind), (config, { name }) =>
    config.go_backwards && config.return_sequences
      ? 'Keras turns the order of what it puts out: go backwards, or return sequences'
      : layerOf(kind, name, config),
  )
}

const within = z.discriminatedUnion('class_name', [
  z.looseObject({ class_name: z.literal('LSTM'), config: optionsOf('LSTM') }),
  z.looseObject({ class_name: z.literal('GRU'), config: optionsOf('GRU') }),
  z.looseObject({ class_name: z.literal('SimpleRNN'), config: optionsOf('SimpleRNN') }),
])

/**
 * Two layers and what puts them together. Keras turns what goes backwards back into the order of the steps, which is how our
 * layers put it out. Their mean is a pool over each step's two.
 */
export const bidirectional = of(
  z.strictObject({
    ...common,
    layer: within,
    /** Left out by Keras 2 and TF.js: the same, the other way. */
    backward_layer: within.nullish(),
    merge_mode: z.enum(['concat', 'sum', 'mul', 'ave'], 'say how the two are put together').default('concat'),
    input_dim: ignored,
    num_constants: absent('leave it out'),
  }),
  ({ layer: there, backward_layer: told, merge_mode: mode, trainable }, { name, from }) => {
    const back = told ?? { ...there, config: { ...there.config, go_backwards: !there.config.go_backwards } }
    if (there.config.go_backwards || !back.config.go_backwards)
      return 'the first of the two goes forwards, the other back'
    const { units, return_sequences: sequences } = there.config
    if (back.config.return_sequences !== sequences) return 'both return sequences, or neither'
    if (mode !== 'concat' && back.config.units !== units) return 'two of other widths are concatenated'
    const each = (
      [
        ['forward', there],
        ['backward', back],
      ] as const
    ).map(([way, { class_name, config }]): Converted => {
      const own = { ...config, trainable: config.trainable && trainable }
      return {
        layer: layerOf(class_name, `${name}_${way}`, own),
        inner: innerName(way, config.name ?? there.config.name),
      }
    })
    const both = each.map(({ layer }) => layer.name)
    const merge = (layer: 'concatenate' | 'add' | 'multiply', as = name) => ({ layer: { layer, name: as, from: both } })
    if (mode !== 'ave') return [...each, merge(({ concat: 'concatenate', sum: 'add', mul: 'multiply' } as const)[mode])]
    const [steps = 0] = from[0] ?? []
    const [beside, pairs] = [`${name}_both`, `${name}_pairs`]
    const shape = sequences ? [2 * steps, units] : [2, units]
    return [
      ...each,
      merge('concatenate', beside),
      { layer: { layer: 'reshape', name: pairs, from: [beside], shape } },
      {
        layer: sequences
          ? { layer: 'averagePooling1d', name, from: [pairs], pool: 2, stride: 2 }
          : { layer: 'globalPooling', name, from: [pairs], of: 'average' },
      },
    ]
  },
)

/** Where the weights are kept: Keras 3 says so, the others tell what the layer was called before. */
function innerName(way: 'forward' | 'backward', told = ''): string {
  const plain = told.replace(/^(forward|backward)_/, '')
  return `${way}_${plain}`
}
