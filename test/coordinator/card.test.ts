import { readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { metricsOf } from '#coordinator/api/metrics.ts'
import { type Ancestry, type CardFacts, cardOf } from '#coordinator/card.ts'
import type { Aggregated } from '#coordinator/curves.ts'
import type { Past, Run } from '#coordinator/run.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import type { RunId } from '#protocol/ids.ts'
import type { Card, Task } from '#protocol/task.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { cid, node, specOf } from './fixture.ts'
import { CARD } from './prose.ts'

const ARCHITECTURE: Architecture = {
  ...{ v: 1, input: [2] },
  layers: [
    { layer: 'dense', name: 'hidden|one', units: 4, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

/** A run that has ended after two rounds, the second of which was aborted and tried again. */
function facts(
  change: {
    readonly card?: Card
    readonly name?: string
    readonly run?: Partial<Run>
    readonly ancestry?: Ancestry
  } = {},
): CardFacts {
  const { card, name = 'Risk of *readmission*', ancestry = { forks: [], isWhole: true } } = change
  const shape = shapeOf(ARCHITECTURE)
  if (!shape.ok) throw new Error(shape.refusal)
  const past = (round: number, manifest: boolean, purpose: Past['purpose'] = 'train') => ({
    ...{ round, purpose, manifest: manifest ? cid(`manifest ${round}`) : null, cohort: 4, reports: 3 },
    ...{ openedAt: round * 10_000, endedAt: round * 10_000 + 4000 },
  })
  const evaluation = (correct: number) => ({
    ...{ rows: 200, correct, lossQ16: (200 - correct) * 65_536 },
    figures: [{ name: 'auroc', micro: correct * 4500, withinMicro: 100 }] as const,
  })
  const aggregated = [1, 3, 4].map(
    (round, index): Aggregated => ({
      ...{ round, manifest: cid(`manifest ${round}`), model: cid(`model ${round}`), trainMillis: 1000 * round },
      evaluation: evaluation(100 + 40 * index),
    }),
  )
  const run = {
    ...{ spec: specOf({ planned: 2, budget: 2_000_000n }), phase: 'ended', trained: 2, failures: 0, stopping: null },
    ...{ past: [past(1, true), past(2, false), past(3, true), past(4, true, 'evaluate')], evaluation: evaluation(180) },
    ...{ model: cid('model 4'), manifest: cid('record'), parent: cid('manifest 4'), paid: 2_000_000n },
    ...change.run,
  } as unknown as Run
  const task = { ...TOY_TASK, name, ...(card && { card }), metrics: ['auroc'] } as unknown as Task
  const model = { architecture: cid('architecture'), weights: cid('weights'), tensors: shape.value.tensors }
  const rows = metricsOf(run, task, aggregated)
  const told = { run, task, model, architecture: ARCHITECTURE, shape: shape.value, rows, rounds: aggregated }
  return { ...told, ancestry, coordinator: node(0) }
}

test('a card is the one that is kept, to the byte', async () => {
  expect(cardOf(facts({ card: CARD }))).toBe(await readFile('test/coordinator/card.golden.md', 'utf8'))
})

test('a run that goes on, or was tested by nobody, has a card that says so', () => {
  const card = cardOf({ ...facts({ run: { phase: 'running', manifest: null } as Partial<Run> }), rows: [] })
  expect(card).not.toContain('model-index')
  expect(card).toContain('It goes on.')
  expect(card).toContain('Nobody has tested the last model')
  expect(card).toContain('not sealed: the run goes on')
  expect(card).toContain('Its author has said nothing about it.')
})

test('the card of a run that was extended counts what was added, rounds and budget', () => {
  const extensions = [{ rounds: 3, budget: 5_000_000n }]
  const card = cardOf(facts({ run: { extensions, trained: 5 } as unknown as Partial<Run> }))
  expect(card).toContain('5 of 5 planned training rounds have closed')
  expect(card).toContain('| budget | 7.000000 credits, 2.000000 paid |')
})

test('a fork has a card that names the round it comes from, and those that this comes from', () => {
  const forks = ['run_01ARZ3NDEKTSV4RRFFQ69G5FAW', 'run_01ARZ3NDEKTSV4RRFFQ69G5FAX'].map((run, index) => ({
    ...{ run: run as RunId, round: index + 2, manifest: cid(`manifest of ${run}`), model: cid(`model of ${run}`) },
  }))
  const [parent] = forks
  const run = { spec: { ...specOf({}), origin: parent, genesis: parent?.model } } as unknown as Partial<Run>
  const card = cardOf(facts({ run, ancestry: { forks, isWhole: true } }))
  expect(card).toContain(`starts from | \`${parent?.model}\`, which \`${parent?.run}:2\` made`)
  for (const { run, round, manifest, model } of forks)
    expect(card).toContain(`| \`${run}:${round}\` | \`${manifest}\` | \`${model}\` |`)
  expect(card).toContain('forked from nothing')
  expect(cardOf(facts({ run, ancestry: { forks, isWhole: false } }))).toContain('is not told here')
})

test('whatever its author says of it, a card has the same headings, tables and metadata', () => {
  const outline = (card: string) => {
    const [, metadata = '', body = ''] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(card) ?? []
    const keys = metadata.split('\n').map((line) => line.replace(/".*"$/, '""'))
    return [keys, body.split('\n').filter((line) => /^(#|\||```|- |\s*>)/.test(line) && !line.startsWith('# '))]
  }
  const usual = outline(cardOf(facts({ card: { intendedUse: 'x', limitations: 'y' } })))
  const marks = ['\n', '\n\n', '#', '---', '|', '```', '- ', '> ', '<b>', '"', '\\', ': ', '\u2028', '\u0000', '1. ']
  const hostile = fc
    .array(fc.oneof(fc.constantFrom(...marks), fc.string()), { minLength: 1 })
    .map((all) => `a${all.join('')}`)
  fc.assert(
    fc.property(hostile, hostile, hostile, (name, intendedUse, limitations) => {
      expect(outline(cardOf(facts({ name, card: { intendedUse, limitations } })))).toEqual(usual)
    }),
  )
})

test('of several labels a card tells what the model is worth for each, by its column', () => {
  const figures = [
    { name: 'auroc', micro: 750_000, withinMicro: 0, byLabel: [[1_000_000, 0] as const, [500_000, 0] as const] },
  ]
  const evaluation = { rows: 200, correct: 180, lossQ16: 20 * 65_536, figures }
  const of = facts({ run: { evaluation } as unknown as Partial<Run> })
  const label = { rule: 'multi-label', labels: [{ column: 'effusion' }, { column: 'a|b' }] } as const
  const card = cardOf({ ...of, task: { ...of.task, data: { ...TOY_TASK.data, label } } })
  expect(card).toContain('| label | auroc |\n| --- | --- |\n| effusion | 1.0000 |\n| a\\|b | 0.5000 |')
})
