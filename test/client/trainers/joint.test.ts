import { expect, test } from '@jest/globals'
import { genesisWeights } from '#aggregation/genesis.ts'
import { openDataset } from '#client/data/dataset.ts'
import { formatIdx } from '#client/data/idx.ts'
import { inMemory } from '#client/data/source.ts'
import { openBackend } from '#client/trainers/backend.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { utf8 } from '#protocol/bytes.ts'
import { featuresOf } from '#protocol/features.ts'
import type { JointContract } from '#protocol/task.ts'
import { fitHere, noise, trainingOf } from './tasks.ts'

const ROWS = 160

/** A row is of class 1 where a number, an image and a word agree two to one: none of them tells it alone. */
function site(): Readonly<Record<string, Uint8Array>> {
  const next = noise(17)
  const signs = Array.from({ length: ROWS }, () => [next() > 0, next() > 0, next() > 0] as const)
  const lines = signs.map((row) => {
    const [isHigh, , isUp] = row
    return `${isHigh ? 1 : -1},${isUp ? 'up' : 'down'},${row.filter(Boolean).length > 1 ? 1 : 0}`
  })
  const pixels = signs.flatMap(([, isBright]) => [isBright ? 200 : 20, 100, 100, isBright ? 180 : 60])
  return {
    'site.csv': utf8(['x,word,y', ...lines].join('\n')),
    'images.idx': formatIdx({ sides: [ROWS, 2, 2], bytes: Uint8Array.from(pixels) }),
  }
}

const contract: JointContract = {
  kind: 'joint',
  parts: [
    { kind: 'table', columns: [{ kind: 'number', name: 'x', gaps: false }] },
    { kind: 'image', height: 2, width: 2, channels: 1 },
    { kind: 'text', column: 'word', tokens: { kind: 'words', vocabulary: ['up', 'down'] }, length: 1 },
  ],
  label: { column: 'y', rule: 'integer', classes: 2 },
  rowsMax: ROWS,
}

const architecture: Architecture = {
  v: 1,
  input: [6],
  layers: [
    { layer: 'part', name: 'table', from: ['input'], offset: 0, shape: [1] },
    { layer: 'part', name: 'image', from: ['input'], offset: 1, shape: [2, 2, 1] },
    {
      ...{ layer: 'conv2d', name: 'seen', filters: 4, kernel: [2, 2], strides: [1, 1] },
      ...{ padding: 'valid', activation: 'relu' },
    },
    { layer: 'flatten', name: 'flat' },
    { layer: 'part', name: 'word', from: ['input'], offset: 5, shape: [1] },
    { layer: 'embedding', name: 'meant', vocabulary: 4, units: 3 },
    { layer: 'flatten', name: 'told' },
    { layer: 'concatenate', name: 'all', from: ['table', 'flat', 'told'] },
    { layer: 'dense', name: 'hidden', units: 8, activation: 'tanh' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

test('a model of several parts learns what a table, an image and a word of a row tell together', async () => {
  await openBackend('wasm')
  const files = site()
  const source = { kind: 'joint', table: 'site.csv', images: 'images.idx' } as const
  const open = async (path: string) => inMemory(path, files[path] as Uint8Array)
  const dataset = await openDataset(source, open)(contract, new Uint8Array(32))
  expect(dataset.shape).toEqual(featuresOf(contract))
  const training = trainingOf(architecture, 'sigmoid-cross-entropy', 2, {
    ...{ data: contract, batchSize: 16, epochs: 40 },
    optimiser: { kind: 'adam', rateMicro: 20_000, beta1Micro: 900_000, beta2Micro: 999_000, epsilonNano: 100 },
  })
  const genesis = genesisWeights(architecture, new Uint8Array(32).fill(3))
  const { delta, evaluation } = await fitHere(genesis, training, dataset)
  expect(evaluation.correct / evaluation.rows).toBeLessThan(0.9)
  const trained = delta.map((moved, index) => (genesis[index] as number) + moved)
  const after = await fitHere(trained, { ...training, purpose: 'evaluate' }, dataset)
  expect(after.evaluation.correct / after.evaluation.rows).toBeGreaterThan(0.95)
})

test('images whose labels are columns of a table, some of them empty, teach several labels at once', async () => {
  await openBackend('wasm')
  const next = noise(5)
  const seen = Array.from({ length: ROWS }, () => [next() > 0, next() > 0.6] as const)
  const cell = (isThere: boolean, row: number) => (row % 4 === 0 ? '' : Number(isThere))
  const lines = seen.map(([a, b], row) => `${cell(a, row)},${cell(b, row + 1)}`)
  const pixels = seen.flatMap(([a, b]) => [a ? 200 : 60, 128 + 50 * next(), b ? 40 : 190, 128])
  const files: Readonly<Record<string, Uint8Array>> = {
    'site.csv': utf8(['a,b', ...lines].join('\n')),
    'images.idx': formatIdx({ sides: [ROWS, 2, 2], bytes: Uint8Array.from(pixels) }),
  }
  const several: JointContract = {
    kind: 'joint',
    parts: [{ kind: 'image', height: 2, width: 2, channels: 1 }],
    label: { rule: 'multi-label', labels: [{ column: 'a' }, { column: 'b', positiveMicro: 3_000_000 }] },
    rowsMax: ROWS,
  }
  const source = { kind: 'joint', table: 'site.csv', images: 'images.idx' } as const
  const open = async (path: string) => inMemory(path, files[path] as Uint8Array)
  const dataset = await openDataset(source, open)(several, new Uint8Array(32))
  const linear: Architecture = {
    ...{ v: 1, input: [4] },
    layers: [{ layer: 'dense', name: 'out', units: 2, activation: 'linear' }],
  }
  const training = trainingOf(linear, 'sigmoid-cross-entropy', 2, {
    ...{ data: several, batchSize: 16, epochs: 30 },
    optimiser: { kind: 'adam', rateMicro: 50_000, beta1Micro: 900_000, beta2Micro: 999_000, epsilonNano: 100 },
  })
  const genesis = genesisWeights(linear, new Uint8Array(32).fill(3))
  const { delta, evaluation } = await fitHere(genesis, training, dataset)
  expect(evaluation.correct / evaluation.rows).toBeLessThan(0.9)
  const trained = delta.map((moved, index) => (genesis[index] as number) + moved)
  const after = await fitHere(trained, { ...training, purpose: 'evaluate' }, dataset)
  expect(after.evaluation.correct / after.evaluation.rows).toBeGreaterThan(0.95)
})
