import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { accumulate } from '#aggregation/accumulate.ts'
import { clip } from '#aggregation/clip.ts'
import { inspectVector } from '#aggregation/inspect.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { dequantise, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { encodeLanes, lanesOf } from '#aggregation/vector.ts'
import { decodeWeights, encodeWeights } from '#aggregation/weights.ts'
import { fromHex, once, toHex } from '#protocol/bytes.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { must, unscored } from './given.ts'

type Case = {
  readonly name: string
  readonly task: Parameters<typeof quantiserFor>[0]
  readonly quantiser: Quantiser
  readonly updates: readonly {
    readonly delta: string
    readonly clipped: string
    readonly weight: number
    readonly evaluation: { readonly rows: number; readonly correct: number; readonly lossSumNats: number }
    readonly words: readonly number[]
    readonly vector: string
  }[]
  readonly sum: string
  readonly reports: number
  readonly weight: number
  readonly mean: string
  readonly evaluation: Evaluation
  readonly rateMicro: number
  readonly model: string
  readonly next: string
}

/** Written by oracle.py, which shares no line with the code here. */
const path = join(import.meta.dirname, '../vectors/arithmetic.json')
const vectors = JSON.parse(readFileSync(path, 'utf8')) as { readonly cases: readonly Case[] }

describe.each(vectors.cases)('the golden vectors: $name', (golden) => {
  const parameters = golden.model.length / 8
  const model = must(decodeWeights(fromHex(golden.model), parameters))
  const deltaOf = (hex: string) => must(decodeWeights(fromHex(hex), parameters))

  test('the quantiser follows from the task', () => {
    expect(quantiserFor(golden.task)).toEqual(golden.quantiser)
  })

  test.each(golden.updates)('an update of weight $weight has these bytes, and passes inspection', async (update) => {
    const delta = clip(deltaOf(update.delta), golden.task.clipNormMicro / 1_000_000)
    expect(toHex(encodeWeights(delta))).toBe(update.clipped)
    const words = update.words.values()
    const vector = must(quantise({ ...update, delta }, golden.quantiser, () => words.next().value as number, NO_SCORES))
    expect(toHex(encodeLanes(vector))).toBe(update.vector)
    expect(await inspectVector(once(fromHex(update.vector)), unscored(parameters), golden.quantiser)).toEqual({
      ok: true,
      value: { weight: update.weight },
    })
  })

  test('the sum, its mean and the next model have these bytes', async () => {
    const sum = must(
      await accumulate(
        golden.updates.map(({ vector }) => once(fromHex(vector))),
        lanesOf(parameters),
      ),
    )
    expect(toHex(encodeLanes(sum))).toBe(golden.sum)
    const { mean, ...figures } = must(dequantise(sum, unscored(parameters), golden.quantiser))
    expect(figures).toEqual({ reports: golden.reports, weight: golden.weight, evaluation: golden.evaluation })
    expect(toHex(doubles(mean))).toBe(golden.mean)
    const next = must(
      nextModel({
        sum,
        purpose: parameters > 0 ? 'train' : 'evaluate',
        model,
        payload: unscored(model.length),
        memory: new Float32Array(0),
        quantiser: golden.quantiser,
        strategy: { kind: 'fedavg', rateMicro: golden.rateMicro },
      }),
    )
    expect(toHex(encodeWeights(next.model))).toBe(golden.next)
    expect(next.evaluation).toEqual(golden.evaluation)
  })
})

const python = spawnSync('python3', ['--version'], { encoding: 'utf8' })
if (python.status !== 0) console.log('skipped: the vectors are not written again, since there is no python3 here')
const withPython = python.status === 0 ? test : test.skip

withPython('the vectors in the repository are what the Python oracle writes', () => {
  const oracle = join(import.meta.dirname, 'oracle.py')
  const said = spawnSync('python3', [oracle], { encoding: 'utf8' })
  expect(said.stderr).toBe('')
  expect(JSON.parse(said.stdout)).toEqual(vectors)
})

function doubles(values: Float64Array): Uint8Array {
  const out = new DataView(new ArrayBuffer(values.byteLength))
  for (const [index, value] of values.entries()) out.setFloat64(index * 8, value, true)
  return new Uint8Array(out.buffer)
}
