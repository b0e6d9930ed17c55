import fc from 'fast-check'
import { type Architecture, layersOf, shapeOf } from '#protocol/architecture.ts'
import { type Activation, activationField, type Layer } from '#protocol/layers.ts'
import { noise } from './tasks.ts'

/** Architectures of every kind of layer, at random; each fits together, and puts out three logits. */
export function architectures(options: { readonly isWide?: boolean } = {}): fc.Arbitrary<Drawn> {
  return fc.nat().map((seed) => draw(seed, options.isWide ?? false))
}

/** `vocabulary` where what is put in are whole numbers below it. */
export type Drawn = { readonly architecture: Architecture; readonly vocabulary: number | undefined }

type Dice = { below(n: number): number; of<T>(choices: readonly [T, ...T[]]): T; maybe<T>(value: T): T | undefined }

/** @param isWide makes what layers put out large beside their weights, or the other way round, and not both small */
function draw(seed: number, isWide: boolean): Drawn {
  const next = noise(seed * 7919 + 13)
  for (let skip = 0; skip < 5; skip++) next()
  const below = (n: number) => Math.floor(((next() + 1) / 2) * n)
  const dice: Dice = {
    below,
    of: (choices) => choices[below(choices.length)] as (typeof choices)[0],
    maybe: (value) => (below(3) === 0 ? value : undefined),
  }
  const wide = isWide ? 3 : 1
  const kind = dice.of<'row' | 'steps' | 'image' | 'words'>(['row', 'steps', 'image', 'words'])
  const inputs = {
    row: [3 + below(20 * wide)],
    steps: [3 + below(5), 2 + below(5 * wide)],
    image: [5 + below(4 * wide), 5 + below(4 * wide), 1 + below(3)],
    words: [2 + below(5 * wide)],
  }
  const vocabulary = kind === 'words' ? 2 + below(9) : undefined
  const units = 1 + below(8 * wide)
  let layers: Layer[] = vocabulary ? [{ layer: 'embedding', name: 'words', vocabulary, units }] : []
  const shapeNow = (all: readonly Layer[]): readonly number[] => {
    const architecture: Architecture = { v: 1, input: inputs[kind], layers: all }
    return layersOf(architecture).at(-1)?.shape ?? inputs[kind]
  }
  for (let turn = 0, tries = 0; turn < 1 + below(5) && tries < 40; tries++) {
    const shape = layers.length > 0 ? shapeNow(layers) : inputs[kind]
    const more = someLayers(dice, shape, `l${tries}`, layers.at(-1)?.name ?? 'input', 1 + below(8 * wide))
    const grown = [...layers, ...more]
    const shaped = shapeOf({ v: 1, input: inputs[kind], layers: grown })
    if (!shaped.ok || shaped.value.output.reduce((product, side) => product * side, 1) > 600 * wide * wide) continue
    layers = grown
    turn++
  }
  const end: Layer = dice.of([
    { layer: 'flatten', name: 'end' },
    { layer: 'globalPooling', name: 'end', of: dice.of(['average', 'max']) },
  ])
  const rank = layers.length > 0 ? shapeNow(layers).length : inputs[kind].length
  const ends: Layer[] = [...(rank > 1 ? [end] : []), { layer: 'dense', name: 'out', units: 3, activation: 'linear' }]
  return { architecture: { v: 1, input: inputs[kind], layers: [...layers, ...ends] }, vocabulary }
}

function someLayers(dice: Dice, shape: readonly number[], name: string, before: string, units: number): Layer[] {
  const { below } = dice
  const activation = dice.of<Activation>(activationField.options as unknown as [Activation, ...Activation[]])
  const unbiased = dice.maybe(false as const) === false ? { bias: false as const } : {}
  const frozen = below(6) === 0 ? { frozen: true as const } : {}
  const padded = dice.maybe('same' as const) ? { padding: 'same' as const } : {}
  const side = () => 1 + below(3)
  const pair = () => [side(), side()] as const
  const adapter = dice.maybe({ rank: side(), alphaMicro: 1_000_000 * side() })
  const dense: Layer = {
    ...{ layer: 'dense', name, units, activation, ...unbiased, ...frozen },
    ...(adapter ? { adapter } : {}),
  }
  const epsilonNano = 1_000_000 * side()
  const anywhere: [Layer[], ...Layer[][]] = [
    [dense],
    [{ layer: 'activation', name, activation }],
    [{ layer: 'dropout', name, rateMicro: 100_000 * side() }],
    [{ layer: 'batchNormalization', name, momentumMicro: 900_000, epsilonNano, ...frozen }],
    // Of a single value nothing is left but the offset.
    [shape.at(-1) === 1 ? dense : { layer: 'layerNormalization', name, epsilonNano, ...frozen }],
    residual(dice, name, before, shape, activation),
  ]
  const convolved = { activation, ...unbiased, ...frozen }
  const padding = dice.of(['valid', 'same'] as const)
  switch (shape.length) {
    case 1:
      return dice.of(anywhere)
    case 2: {
      const recurrent = { name, units, ...flag(dice, 'sequences'), ...flag(dice, 'backwards'), ...frozen }
      const stride = side()
      const pool = { name, pool: side(), stride: side(), ...padded }
      return dice.of([
        ...anywhere,
        [{ layer: 'conv1d', name, filters: units, kernel: side(), stride, padding, ...convolved }],
        [{ ...{ layer: 'conv1d', name, filters: units, kernel: side(), stride }, padding: 'causal', ...convolved }],
        [{ layer: 'maxPooling1d', ...pool }],
        [{ layer: 'averagePooling1d', ...pool }],
        [{ layer: 'lstm', ...recurrent }],
        [{ layer: 'gru', ...recurrent, ...flag(dice, 'resetAfter') }],
        [{ layer: 'simpleRnn', ...recurrent }],
        attended(dice, name, before),
        [{ layer: 'positionEmbedding', name, ...frozen }],
        [{ layer: 'reshape', name, shape: [shape[1] as number, shape[0] as number] }],
      ] as [Layer[], ...Layer[][]])
    }
    default: {
      const window = { name, kernel: pair(), strides: pair(), padding, ...convolved }
      const pool = { name, pool: pair(), strides: pair(), ...padded }
      return dice.of([
        ...anywhere,
        [{ layer: 'conv2d', ...window, filters: units }],
        [{ layer: 'conv2d', ...window, filters: units }],
        [{ layer: 'depthwiseConv2d', ...window, multiplier: side() }],
        [{ layer: 'maxPooling2d', ...pool }],
        [{ layer: 'averagePooling2d', ...pool }],
        [{ layer: 'zeroPadding2d', name, top: below(2), bottom: below(3), left: below(2), right: below(3) }],
        [{ layer: 'part', name, offset: below(4), shape: [2, below(4) + 1] }],
      ] as [Layer[], ...Layer[][]])
    }
  }
}

function flag<K extends string>(dice: Dice, name: K): Partial<Record<K, true>> {
  return dice.maybe(true) ? ({ [name]: true } as Record<K, true>) : {}
}

/** Something beside what came in, and the two brought together. */
function residual(dice: Dice, name: string, before: string, shape: readonly number[], activation: Activation): Layer[] {
  const beside: Layer = { layer: 'dense', name: `${name}b`, units: shape.at(-1) as number, activation }
  const from = [`${name}b`, before]
  return [beside, { layer: dice.of(['add', 'multiply', 'concatenate'] as const), name, from }]
}

function attended(dice: Dice, name: string, before: string): Layer[] {
  const heads = dice.of([1, 2, 3])
  const part = (which: string): Layer => ({
    ...{ layer: 'dense', name: `${name}${which}`, from: [before], units: heads * (1 + dice.below(3)) },
    activation: 'linear',
  })
  const queries = part('q')
  const keys = { ...queries, name: `${name}k` }
  const from = ['q', 'k', 'v'].map((which) => `${name}${which}`)
  const dropped = dice.maybe({ dropoutMicro: 100_000 })
  return [queries, keys, part('v'), { layer: 'attention', name, from, heads, ...flag(dice, 'causal'), ...dropped }]
}
