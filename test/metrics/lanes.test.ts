import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { inspectVector } from '#aggregation/inspect.ts'
import { equalScores } from '#aggregation/metrics/equal.ts'
import { figuresOf } from '#aggregation/metrics/figures.ts'
import { decodeScores, encodeScores, labelledIn, mistakeInScores } from '#aggregation/metrics/lanes.ts'
import { type Scoring, scoreLanesOf, talliedIn } from '#aggregation/metrics/scoring.ts'
import { dequantise, EQUAL_ROWS, equalEvaluation, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { encodeLanes, HEADER_LANES, lanesOf, widthOf } from '#aggregation/vector.ts'
import { once } from '#protocol/bytes.ts'
import { LABELS_MAX, SCORE_LANES_MAX } from '#protocol/limits.ts'
import { must } from '#test/aggregation/given.ts'
import { binary, classes, labels, measured, numbers, type Rows } from './given.ts'

const SCORINGS: readonly (readonly [string, Scoring, number])[] = [
  ['two classes', binary, 1],
  ['three classes', classes(3), 3],
  ['numbers', numbers(1_000_000), 1],
  ['three labels', labels(3), 3],
]

const isOfLabels = ({ blocks: [first] }: Scoring) => first?.kind === 'labels'

/** Rows of one site, for a model of so many outputs. */
function rowsOf(scoring: Scoring, outputs: number, { min = 0, max = 25 } = {}) {
  const output = fc.float({ min: -9, max: 9, noNaN: true })
  const label = scoring.unitMicro > 0 ? fc.double({ min: -40, max: 40, noNaN: true }) : fc.nat(Math.max(1, outputs - 1))
  const row = fc.record({ given: fc.array(output, { minLength: outputs, maxLength: outputs }), label })
  if (isOfLabels(scoring)) {
    // Something is known of each row.
    const known = fc.array(fc.constantFrom(0, 1, Number.NaN), { minLength: outputs, maxLength: outputs })
    const several = fc.record({ given: row.map(({ given }) => given), labels: known })
    return fc
      .array(several, { minLength: min, maxLength: max })
      .map((rows) => rows.filter(({ labels }) => !labels.every(Number.isNaN)))
      .filter((rows) => rows.length >= min)
      .map(
        (rows): Rows => ({ given: rows.flatMap(({ given }) => given), labels: rows.flatMap(({ labels }) => labels) }),
      )
  }
  return fc
    .array(row, { minLength: min, maxLength: max })
    .map((rows): Rows => ({ given: rows.flatMap(({ given }) => given), labels: rows.map(({ label }) => label) }))
}

const quantiser = quantiserFor({ clipNormMicro: 1_000_000, rowsMax: 1_000, cohortMax: 10 })
const update = { delta: Float32Array.of(0.25, -0.5, 0), weight: 10 }

/** A site's whole vector; of numbers nothing is right or wrong. */
function vectorOf(scoring: Scoring, rows: Rows) {
  const made = measured(scoring, rows)
  const evaluation = scoring.unitMicro > 0 ? { ...made, correct: 0 } : made
  return must(quantise({ ...update, evaluation }, quantiser, () => 7, scoring))
}

describe.each(SCORINGS)('%s:', (_, scoring, outputs) => {
  const payload = { parameters: 3, moving: 0, scores: scoring }

  test('the sum of sites is one site with all their rows, in any order, and has its figures', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rowsOf(scoring, outputs), { minLength: 1, maxLength: 5 }), async (sites) => {
        const vectors = sites.map((rows) => encodeLanes(vectorOf(scoring, rows)))
        const sum = must(await accumulate(vectors.map(once), lanesOf(widthOf(payload))))
        const back = must(await accumulate(vectors.toReversed().map(once), lanesOf(widthOf(payload))))
        expect(encodeLanes(back)).toEqual(encodeLanes(sum))
        const { evaluation } = must(dequantise(sum, payload, quantiser))
        const all = { given: sites.flatMap(({ given }) => given), labels: sites.flatMap(({ labels }) => labels) }
        const together = encodeScores(scoring, measured(scoring, all).tallies)
        const expected = figuresOf(scoring, together, all.labels.length)
        for (const [at, figure] of expected.entries()) {
          const found = evaluation.figures?.[at]
          const { name, micro } = figure
          // Of sums, each site rounds its own.
          const rounding = { brier: 200, mae: 200, rmse: 9_000 }[name as string] ?? 0
          if (rounding === 0 && name !== 'r2') expect(found).toEqual(figure)
          else if (micro === null || name === 'r2') expect(found?.micro === null).toBe(micro === null)
          else expect(Math.abs((found?.micro ?? Number.NaN) - micro)).toBeLessThanOrEqual(rounding)
        }
      }),
      { numRuns: 15 },
    )
  })

  test('of a masked round each site counts alike, in parts that do not tell how many rows it has, and its blocks agree', () => {
    fc.assert(
      fc.property(rowsOf(scoring, outputs, { min: 1 }), (rows) => {
        const made = measured(scoring, rows)
        const own = scoring.unitMicro > 0 ? { ...made, correct: 0 } : made
        const { tallies = [], ...equal } = equalEvaluation(own, scoring)
        expect(equal.rows).toBe(EQUAL_ROWS)
        const lanes = encodeScores(scoring, tallies)
        expect(mistakeInScores(scoring, lanes, { reports: 1, ...equal })).toBeUndefined()
        // Of 8 rows as of 15.
        const part = EQUAL_ROWS / 2 ** Math.floor(Math.log2(own.rows))
        expect(Math.abs(equal.correct / part - (own.correct * EQUAL_ROWS) / own.rows / part)).toBeLessThanOrEqual(0.5)
        for (const [index, { kind }] of scoring.blocks.entries()) {
          if (kind === 'sum') continue
          const [before, after] = [own.tallies[index], tallies[index]] as [Float64Array, Float64Array]
          expect(after.every((cell) => cell % part === 0)).toBe(true)
          expect(after.every((cell, at) => cell === 0 || (before[at] as number) > 0)).toBe(true)
          if (kind === 'one-vs-rest' || kind === 'labels') continue
          // Right rows and the others each have their number of parts rounded, and so each sum from the first cell on.
          const off = sumsOf(before).map(
            (sum, at) => ((sum / own.rows) * EQUAL_ROWS - (sumsOf(after)[at] as number)) / part,
          )
          expect(Math.max(...off.map(Math.abs))).toBeLessThanOrEqual(2)
        }
        const [before, after] = [own.tallies, tallies].map((cells) => talliedIn(scoring, cells, 'labels'))
        if (!before || !after) return
        const kept = labelledIn(after.block, after.cells)
        for (const [of, { known, right }] of labelledIn(before.block, before.cells).entries()) {
          const off = (count: number, share = 0) => Math.abs((count / own.rows) * EQUAL_ROWS - share) / part
          expect(off(right, kept[of]?.right)).toBeLessThanOrEqual(1.5)
          expect(off(known, kept[of]?.known)).toBeLessThanOrEqual(2)
        }
      }),
      { numRuns: 25 },
    )
  })

  test('what was counted comes back', () => {
    fc.assert(
      fc.property(rowsOf(scoring, outputs), (rows) => {
        const { tallies } = measured(scoring, rows)
        for (const [index, cells] of decodeScores(scoring, encodeScores(scoring, tallies)).entries()) {
          const off = cells.map((count, cell) => Math.abs(count - (tallies[index]?.[cell] as number)))
          expect(Math.max(...off)).toBeLessThanOrEqual(2 ** -17)
        }
      }),
      { numRuns: 15 },
    )
  })

  test('a site that says nothing has zeros, and a sum of such has no figures', () => {
    const silent = must(
      quantise({ ...update, evaluation: { rows: 0, correct: 0, lossSumNats: 0 } }, quantiser, () => 7, scoring),
    )
    expect(silent.subarray(HEADER_LANES + 3).every((lane) => lane === 0)).toBe(true)
    const { evaluation } = must(dequantise(silent, payload, quantiser))
    expect(evaluation.figures?.every(({ micro }) => micro === null)).toBe(true)
  })

  test('any change to one score lane is refused, of a report and of a sum', async () => {
    const rows: Rows = {
      given: Array.from({ length: 12 * outputs }, (_, at) => ((at * 7) % 11) / 3 - 1.5),
      labels: isOfLabels(scoring)
        ? Array.from({ length: 12 * outputs }, (_, at) => [0, 1, Number.NaN, 1][at % 4] as number)
        : Array.from({ length: 12 }, (_, row) => row % Math.max(2, outputs)),
    }
    const sound = vectorOf(scoring, rows)
    expect(await inspectVector(once(encodeLanes(sound)), payload, quantiser)).toMatchObject({ ok: true })
    const places = scoreLanesOf(scoring)
    await fc.assert(
      fc.asyncProperty(fc.nat(places - 1), fc.integer({ min: 2 ** 23, max: 2 ** 32 - 1 }), async (lane, by) => {
        const lied = sound.with(HEADER_LANES + 3 + lane, by)
        const refused = { ok: false, refusal: 'bad-scores' }
        expect(await inspectVector(once(encodeLanes(lied)), payload, quantiser)).toMatchObject(refused)
        expect(dequantise(lied, payload, quantiser)).toMatchObject(refused)
      }),
      { numRuns: 25 },
    )
  })
})

describe('what no rows can make is refused:', () => {
  const rows: Rows = { given: [3, 1, 0, 0, 2, 1, -1, 0, 1], labels: [0, 1, 1] }
  const [two, many, three] = [binary, classes(3), labels(3)]
  const known: Rows = { given: [-1, 1, 2], labels: [0, Number.NaN, 1] }
  const fewer: Rows = { given: [-1, 1, 2, 0, 1, 2], labels: [0, 1, 1, Number.NaN, 1, 1] }
  const wrong: Rows = { given: [-1, 1, 2], labels: [1, Number.NaN, 1] }
  const sound = (scoring: Scoring, { given, labels }: Rows) => measured(scoring, { given, labels })
  const cases: readonly (readonly [string, Scoring, Rows, (tallies: Float64Array[]) => void, RegExp])[] = [
    ['a row too many', two, { given: [1, -1], labels: [1, 0] }, ([cells]) => bump(cells, 0, 1), /rows in the cells/],
    [
      'a row on the other side of a half',
      two,
      { given: [1, -1], labels: [1, 0] },
      ([cells]) => {
        const at = cells?.indexOf(1) ?? 0
        bump(cells, at, -1)
        bump(cells, at + 128, 1)
      },
      /rows right/,
    ],
    ['more miss than rows can', two, { given: [1], labels: [1] }, ([, sum]) => bump(sum, 0, 1), /at most 1/],
    ['a matrix whose diagonal is not what is right', many, rows, ([cells]) => swap(cells, 0, 1), /right by confusion/],
    ['ranks of another class', many, rows, ([, ranks]) => swap(ranks, 0, 64), /class 0 has/],
    [
      'a label of more rows than there are',
      three,
      known,
      ([cells]) => bump(cells, 0, 9),
      /label 0 is known of 10 rows/,
    ],
    ['a label that is missed where all is right', three, known, ([cells]) => swap(cells, 0, 256), /missed in 1 rows/],
    ['more miss of a label than rows', three, fewer, ([, sum]) => bump(sum, 0, 1), /squared-miss of .*rows of label 0/],
    [
      'rows that are wrong, and no label of theirs',
      three,
      wrong,
      ([cells]) => swap(cells, 256, 128),
      /0 labels are missed/,
    ],
    ['confidence of other rows', many, rows, ([, , sure]) => bump(sure, 3, 1), /in the cells of confidence/],
  ]

  test.each(cases)('%s', (_, scoring, given, lie, message) => {
    const { tallies, rows: count, correct } = sound(scoring, given)
    const counted = { reports: 1, rows: count, correct }
    expect(mistakeInScores(scoring, encodeScores(scoring, tallies), counted)).toBeUndefined()
    const lied = tallies.map((cells) => cells.slice())
    lie(lied)
    expect(mistakeInScores(scoring, encodeScores(scoring, lied), counted)).toMatch(message)
  })

  test('errors and labels larger than their squares allow', () => {
    const scoring = numbers(1_000_000)
    const counted = { reports: 1, rows: 4, correct: 0 }
    const said = (...sums: readonly number[]) =>
      mistakeInScores(
        scoring,
        encodeScores(
          scoring,
          sums.map((sum) => Float64Array.of(sum)),
        ),
        counted,
      )
    expect(said(8, 16, 4 * 32 - 8, 16)).toBeUndefined()
    expect(said(8.1, 16, 4 * 32 - 8, 16)).toMatch(/absolute-error/)
    expect(said(8, 16, 4 * 32 - 8.1, 16)).toMatch(/label/)
    expect(said(0, 0, 4 * 32 + 8.1, 16)).toMatch(/label/)
  })
})

test('of labels that are missed in the same rows none has more parts than rows that are wrong', () => {
  // Two of three rows miss both: 2.67 parts of two, of which the first would have two and its rows one.
  const made = measured(labels(2), { given: [1, 1, 1, 1, 1, 1], labels: [1, 1, 0, 0, 0, 0] })
  const { tallies = [], ...equal } = equalEvaluation(made, labels(2))
  expect(equal.correct).toBe(EQUAL_ROWS / 2)
  expect(mistakeInScores(labels(2), encodeScores(labels(2), tallies), { reports: 1, ...equal })).toBeUndefined()
})

test('as many labels as there may be, with every metric, stay within the lanes that scores may take', () => {
  expect(scoreLanesOf(labels(LABELS_MAX))).toBe(14_420)
})

test('sixty-four classes with every metric stay within the lanes that scores may take', () => {
  expect(scoreLanesOf(classes(64))).toBe(12_803)
  expect(scoreLanesOf(classes(64))).toBeLessThanOrEqual(SCORE_LANES_MAX)
})

test('of many rows each part is of the row in its middle, whichever class it is of', () => {
  const cells = new Float64Array(512)
  // 5,953 rows of class 0 below a half, every bin alike but the first; 2,239 of class 1 in the last bin: 8,192, so parts of two.
  cells.fill(47, 0, 127)
  cells.set([31], 0)
  cells.set([2192 + 47], 511)
  const rows = cells.reduce((sum, cell) => sum + cell, 0)
  const all = { rows, correct: rows }
  const { tallies } = equalScores(binary, [cells, Float64Array.of(0)], all, EQUAL_ROWS)
  const [shared] = tallies as [Float64Array]
  expect(shared[511]).toBe(1119 * 16)
  // 15.5 parts, and then 23.5 of each.
  expect([...shared.subarray(0, 4)].map((cell) => cell / 16)).toEqual([16, 23, 24, 23])
})

function sumsOf(cells: Float64Array): Float64Array {
  let sum = 0
  return cells.map((cell) => {
    sum += cell
    return sum
  })
}

function bump(cells: Float64Array | undefined, at: number, by: number): void {
  if (cells) cells[at] = (cells[at] as number) + by
}

/** Takes a row from the first of these cells, or of those after it, that has one, and puts it so much further. */
function swap(cells: Float64Array | undefined, from: number, by: number): void {
  const at = cells?.findIndex((cell, index) => index >= from && cell > 0) ?? -1
  bump(cells, at, -1)
  bump(cells, at + by, 1)
}
