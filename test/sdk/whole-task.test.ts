import { readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import type { z } from 'zod'
import { launchRunSchema } from '#coordinator/api/run-schemas.ts'
import type { createAskSchema } from '#coordinator/api/schemas.ts'
import * as data from '#sdk/data.ts'
import * as layers from '#sdk/layers.ts'
import type { Ask } from '#sdk/stats.ts'
import {
  adam,
  adamW,
  type CreateRun,
  defineTask,
  fedAvg,
  keptTask,
  rmsprop,
  sgd,
  type TaskDefinition,
} from '#sdk/task.ts'

/**
 * Whatever the API can be told of a run, the SDK can say: the properties of the schema in docs/openapi.json against those of
 * what is built here, each by its path; of several shapes each by what tells it apart.
 */
type Schema = {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema | false
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
}
const { components } = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as {
  components: { schemas: Record<string, Schema> }
}
/** What tells one shape from the others. */
const TAGS = ['layer', 'kind', 'rule']

function pathsOf(schema: Schema, at = ''): readonly string[] {
  const named = schema.$ref ? components.schemas[schema.$ref.split('/').at(-1) as string] : undefined
  if (named) return pathsOf(named, at)
  const { properties = {}, items, anyOf = [], oneOf = [] } = schema
  const tag = properties[TAGS.find((name) => properties[name]) ?? '']
  const shapes = tag ? (tag.enum ?? [tag.const]).map((value) => `${at}{${value}}`) : [at]
  const entries = Object.entries(properties)
  return [
    ...[...anyOf, ...oneOf].flatMap((one) => pathsOf(one, at)),
    ...(items ? pathsOf(items, `${at}/*`) : []),
    ...shapes.flatMap((here) =>
      entries.flatMap(([name, one]) => [`${here}/${name}`, ...pathsOf(one, `${here}/${name}`)]),
    ),
  ]
}

function pathsIn(value: unknown, at = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((one) => pathsIn(one, `${at}/*`))
  if (typeof value !== 'object' || value === null) return []
  const told = value as Readonly<Record<string, unknown>>
  const tag = TAGS.find((name) => typeof told[name] === 'string')
  const here = tag === undefined ? at : `${at}{${told[tag]}}`
  return Object.entries(told).flatMap(([name, one]) => [`${here}/${name}`, ...pathsIn(one, `${here}/${name}`)])
}

const FILE = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const from = ['input'] as const
const weighed = { from, frozen: true } as const
const unbiased = { ...weighed, bias: false } as const
const three = [from[0], from[0], from[0]] as const

/** Every layer with everything that it can be told. */
const EVERY = layers.sequential([
  layers.dense(1, 'relu', { ...unbiased, adapter: { rank: 1, alpha: 1 } }),
  layers.conv2d(1, 1, { ...unbiased, strides: 1 }),
  layers.depthwiseConv2d(1, { ...unbiased, multiplier: 2 }),
  layers.conv1d(1, 1, { ...unbiased, padding: 'causal' }),
  layers.maxPooling2d(2, { from, padding: 'same' }),
  layers.averagePooling2d(2, { from, padding: 'same' }),
  layers.maxPooling1d(2, { from, padding: 'same' }),
  layers.averagePooling1d(2, { from, padding: 'same' }),
  layers.globalPooling('max', { from }),
  layers.zeroPadding2d({ top: 1 }, { from }),
  layers.flatten({ from }),
  layers.reshape([1], { from }),
  layers.part(0, [1], { from }),
  layers.activation('leakyRelu', { from, slope: 0.1 }),
  layers.dropout(0.5, { from }),
  layers.batchNormalization(weighed),
  layers.layerNormalization(weighed),
  layers.embedding(2, 1, weighed),
  layers.positionEmbedding(weighed),
  layers.lstm(1, { ...weighed, sequences: true, backwards: true }),
  layers.gru(1, { ...weighed, sequences: true, backwards: true, resetAfter: true }),
  layers.simpleRnn(1, { ...weighed, sequences: true, backwards: true }),
  layers.attention(1, { from: three, causal: true, dropout: 0.5 }),
  layers.add(from),
  layers.multiply(from),
  layers.concatenate(from),
])

const columns = [data.number('age', { gaps: true }), data.category('sex', [0, 1])]
const label = data.classIn('kind', 2)
const labels = data.multiLabel(['a', { column: 'b', positive: 2 }])
const base: TaskDefinition = {
  name: 'everything',
  data: data.tableData({ columns, label }),
  model: EVERY,
  loss: 'softmax-cross-entropy',
  metrics: ['auroc'],
  local: {
    ...{ epochs: 1, batch: 1, optimizer: sgd(0.1, { nesterov: true }) },
    ...{ clipNorm: 1, movingRange: 1, gradientNorm: 1, proximal: 0.1 },
  },
  server: fedAvg(),
  weights: FILE,
  publicData: { kind: 'csv', table: FILE },
  card: { intendedUse: 'a', limitations: 'b', license: 'MIT', language: 'en' },
  rounds: 1,
  budget: '1',
  population: 'open',
  federation: 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5',
  masking: 'secagg/1',
  secure: { suite: 1, corrupt: 1, publish: 'full' },
  cohort: { min: 3, max: 3, quorum: 3, operatorSeatsMax: 1, paced: true },
  timing: {
    ...{
      selectionMillis: 1000,
      keysMillis: 1000,
      reportingMillis: 1000,
      stragglerMillis: null,
      consistencyMillis: 1000,
    },
    ...{ unmaskingMillis: 1000, aggregationMillis: 1000, settlementMillis: 1000, learned: false },
  },
  failuresMax: 1,
  onFailures: 'end',
  stopWhen: { metric: 'auroc', patience: 2, minDelta: 0.001 },
}
const terms = { rounds: 1, cohort: { min: 3, max: 3 } }
const change = (other: Partial<TaskDefinition>) => defineTask({ ...base, ...other })
const text = { column: 'note', length: 2 }

const ORDERS: readonly CreateRun[] = [
  change({}),
  change({
    ...{ local: { ...base.local, optimizer: adam() }, data: data.imageData({ height: 1, width: 1, classes: 2 }) },
    ...{ publicData: { kind: 'idx', images: FILE, labels: FILE }, stopWhen: { metric: 'loss', atMost: 0.1 } },
  }),
  change({
    local: { ...base.local, optimizer: adamW(0.1, { weightDecay: 0.1 }) },
    data: data.textData({ ...text, tokens: data.words(['a']), label: data.notZero('sick') }),
    stopWhen: { metric: 'accuracy', atLeast: 0.9 },
  }),
  change({
    local: { ...base.local, optimizer: rmsprop(0.1, { centred: true }) },
    data: data.textData({ ...text, tokens: data.BYTES, label: data.value('days') }),
  }),
  ...[data.words(['a']), data.BYTES].map((tokens) =>
    change({
      data: data.jointData({
        parts: [data.tablePart(columns), data.imagePart({ height: 1, width: 1 }), data.textPart({ ...text, tokens })],
        label,
      }),
    }),
  ),
  ...[data.notZero('sick'), data.value('days'), labels].flatMap((other) => [
    change({ data: data.tableData({ columns, label: other }) }),
    change({ data: data.jointData({ parts: [data.tablePart(columns)], label: other }) }),
  ]),
  ...[label, labels].map((each) => change({ data: data.textData({ ...text, tokens: data.BYTES, label: each }) })),
  keptTask(FILE, { ...terms, fork: { run: 'run_01KQ7ZV0A1B2C3D4E5F6G7H8J9', round: 2 } }),
]

test('whatever a run can be told, the SDK has a word for', () => {
  const due = new Set(pathsOf(components.schemas['CreateRunInput'] as Schema))
  const told = new Set(ORDERS.flatMap((order) => pathsIn(order)))
  expect([...due].filter((path) => !told.has(path))).toEqual([])
  expect([...told].filter((path) => !due.has(path))).toEqual([])
  // It is a walk of all of it, and not of nothing.
  expect(due.size).toBeGreaterThan(200)
})

test('what it builds is what the route takes: of its own type, and of the right one', () => {
  for (const order of ORDERS) {
    const typed: z.input<typeof launchRunSchema> = order satisfies z.input<typeof launchRunSchema>
    // Whether layers fit one another, and enough parts are there, is no matter of words.
    const parsed = launchRunSchema.safeParse(typed)
    const mistakes = parsed.success ? [] : parsed.error.issues.filter(({ code }) => code === 'unrecognized_keys')
    expect(mistakes).toEqual([])
  }
  const ask = { question: { v: 1, kind: 'question', name: 'q', minCell: 1, minCohort: 3, items: [] } } as const
  expect(ask satisfies Ask satisfies z.input<typeof createAskSchema>).toBe(ask)
})
