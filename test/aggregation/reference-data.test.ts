import { describe, expect, test } from '@jest/globals'
import { referenceRows, referenceWeights } from '#aggregation/reference-data.ts'
import { shapeOf } from '#protocol/architecture.ts'
import {
  REFERENCE_CLASSES,
  REFERENCE_MODEL_NAMES,
  REFERENCE_MODELS,
  REPETITION_ROWS,
} from '#protocol/reference-models.ts'

const seed = new Uint8Array(32).fill(7)

describe('reference data', () => {
  test('are the same for everybody who has the seed, and others for another seed, model or repetition', () => {
    const rows = referenceRows('mlp', seed, 0)
    expect(rows).toEqual(referenceRows('mlp', seed.slice(), 0))
    const others = [
      referenceRows('mlp', new Uint8Array(32).fill(8), 0),
      referenceRows('cnn', seed, 0),
      referenceRows('mlp', seed, 1),
    ]
    for (const other of others) {
      const same = other.values.filter((value, index) => value === rows.values[index]).length
      expect(same).toBeLessThan(10)
    }
    // A first value that changes is another protocol: docs/protocol.md has it.
    expect([...rows.values.subarray(0, 3)].map((value) => value * 2 ** 23)).toMatchInlineSnapshot(`
[
  -7601253,
  1090936,
  -8098632,
]
`)
    expect([...rows.labels.subarray(0, 8)]).toMatchInlineSnapshot(`
[
  9,
  2,
  4,
  6,
  6,
  4,
  7,
  9,
]
`)
  })

  test('fill every row with values in [-1, 1) that are whole multiples of 2^-23, and every row has a class', () => {
    const { values, labels } = referenceRows('transformer', seed, 511)
    expect(values).toHaveLength(REPETITION_ROWS * 784)
    expect(values.every((value) => value >= -1 && value < 1 && Number.isInteger(value * 2 ** 23))).toBe(true)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    expect(Math.abs(mean)).toBeLessThan(0.01)
    expect(labels).toHaveLength(REPETITION_ROWS)
    expect(new Set(labels).size).toBe(REFERENCE_CLASSES)
  })

  test('every reference model fits together, takes the same rows and tells the same classes apart', () => {
    for (const name of REFERENCE_MODEL_NAMES) {
      const shape = shapeOf(REFERENCE_MODELS[name])
      if (!shape.ok) throw new Error(`${name}: ${shape.refusal} ${shape.detail}`)
      expect(shape.value.output).toEqual([REFERENCE_CLASSES])
      expect(REFERENCE_MODELS[name].input).toEqual([28, 28, 1])
      expect(referenceWeights(name, seed)).toHaveLength(shape.value.parameters)
    }
    expect(referenceWeights('mlp', seed)).toHaveLength(784 * 128 + 128 + 128 * 10 + 10)
  })
})
