import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { FigureName } from '#protocol/metrics.ts'
import { binary, classes, figured, numbers, type Rows } from './given.ts'

/** Of unbinned rows, by another's hands: scikit-learn, and of calibration by NumPy over the same sixteen groups. */
type Golden = {
  readonly binary: readonly Case[]
  readonly classes: readonly (Case & { readonly classes: number })[]
  readonly numbers: readonly {
    readonly name: string
    readonly labelsMilli: readonly number[]
    readonly saidMilli: readonly number[]
    readonly expected: Readonly<Record<string, number>>
  }[]
}
type Case = {
  readonly name: string
  readonly labels: readonly number[]
  readonly logitsMilli: readonly number[]
  readonly expected: Readonly<Record<string, number>>
}
const golden: Golden = JSON.parse(await readFile(new URL('scikit-learn.json', import.meta.url), 'utf8'))
/** Figures are rounded to millionths, and sums before that to 2⁻¹⁶. */
const ROUNDING = 2e-6

function expectWithin(found: ReturnType<typeof figured>, expected: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(expected)) {
    const [figure, within] = found[name as FigureName] ?? [null, 0]
    expect([name, Math.abs((figure ?? Number.NaN) - value) <= within + ROUNDING, figure, value]).toEqual([
      ...[name, true, figure, value],
    ])
  }
}

describe('as scikit-learn has it, but for what the bins may hide', () => {
  test.each(golden.binary)('two classes, $name', ({ labels, logitsMilli, expected }) => {
    expectWithin(figured(binary, { given: logitsMilli.map((z) => z / 1000), labels }), expected)
  })

  test.each(golden.classes)('$name', ({ labels, logitsMilli, classes: count, expected }) => {
    expectWithin(figured(classes(count), { given: logitsMilli.map((z) => z / 1000), labels }), expected)
  })

  test.each(golden.numbers)('$name, in whatever unit', ({ labelsMilli, saidMilli, expected }) => {
    for (const unit of [1, 2.5]) {
      const given = saidMilli.map((said) => said / 1000 / unit)
      const found = figured(numbers(unit * 1e6), { given, labels: labelsMilli.map((label) => label / 1000 / unit) })
      expectWithin(found, expected)
    }
  })
})

/** Rows of two classes, some of whose logits are alike, and some far out. */
const logit = fc.oneof(
  fc.float({ min: -12, max: 12, noNaN: true }),
  fc.constantFrom(0, 2 ** -30, -1, 1, 90, -90, Math.fround(Math.log(15))),
)
const rowsOfTwo = fc
  .array(fc.record({ z: logit, label: fc.nat(1) }), { minLength: 1, maxLength: 60 })
  .map((rows): Rows => ({ given: rows.map(({ z }) => z), labels: rows.map(({ label }) => label) }))

describe('of any rows', () => {
  test('the area under the ROC curve is that of all pairs, within what it says of itself', () => {
    fc.assert(
      fc.property(rowsOfTwo, ({ given, labels }) => {
        const [value, within] = figured(binary, { given, labels }).auroc ?? [null, 0]
        const [yes, no] = [1, 0].map((label) => given.filter((_, row) => labels[row] === label)) as [number[], number[]]
        if (yes.length * no.length === 0) return expect(value).toBeNull()
        const won: readonly number[] = yes.flatMap((a) => no.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)))
        const exact = won.reduce((sum, one) => sum + one, 0) / won.length
        expect(Math.abs((value as number) - exact)).toBeLessThanOrEqual(within + ROUNDING)
      }),
      { numRuns: 50 },
    )
  })

  test('so is average precision', () => {
    fc.assert(
      fc.property(rowsOfTwo, ({ given, labels }) => {
        const [value, within] = figured(binary, { given, labels }).auprc ?? [null, 0]
        const positives = labels.filter((label) => label === 1).length
        if (positives === 0 || positives === labels.length) return expect(value).toBeNull()
        const precisionAt = (threshold: number) => {
          const at = labels.filter((_, row) => (given[row] as number) >= threshold)
          return at.filter((label) => label === 1).length / at.length
        }
        const exact = given.reduce((sum, z, row) => sum + (labels[row] === 1 ? precisionAt(z) : 0), 0) / positives
        expect(Math.abs((value as number) - exact)).toBeLessThanOrEqual(within + ROUNDING)
      }),
      { numRuns: 50 },
    )
  })

  test('the best F1 is that of the best threshold, within what it says', () => {
    fc.assert(
      fc.property(rowsOfTwo, ({ given, labels }) => {
        const [value, within] = figured(binary, { given, labels })['f1-best'] ?? [null, 0]
        const positives = labels.filter((label) => label === 1).length
        if (positives === 0) return expect(value).toBeNull()
        const each = given.map((threshold) => {
          const at = labels.filter((_, row) => (given[row] as number) >= threshold)
          return (2 * at.filter((label) => label === 1).length) / (at.length + positives)
        })
        const off = Math.max(...each) - (value as number)
        expect(off).toBeGreaterThanOrEqual(-ROUNDING)
        expect(off).toBeLessThanOrEqual(within + ROUNDING)
      }),
      { numRuns: 50 },
    )
  })

  test('calibration is off by as little as it says', () => {
    fc.assert(
      fc.property(rowsOfTwo, ({ given, labels }) => {
        const [value, within] = figured(binary, { given, labels })['calibration-error'] ?? [null, 0]
        const [said, was] = [new Float64Array(16), new Float64Array(16)]
        for (const [row, z] of given.entries()) {
          const p = 1 / (1 + Math.exp(-z))
          // A bin holds its edge towards a half: below it the upper one, above it the lower one.
          const group =
            z > 0
              ? 15 - Math.max(0, Math.ceil((Math.exp(-z) / (1 + Math.exp(-z))) * 16) - 1)
              : Math.max(0, Math.ceil(p * 16) - 1)
          said[group] = (said[group] as number) + p
          was[group] = (was[group] as number) + (labels[row] as number)
        }
        const off = said.reduce((sum, one, group) => sum + Math.abs(one - (was[group] as number)), 0)
        expect(Math.abs((value as number) - off / given.length)).toBeLessThanOrEqual(within + ROUNDING)
        // Half a bin's width, which none is wider than.
        expect(within).toBeLessThanOrEqual(1 / 256 + ROUNDING)
      }),
      { numRuns: 50 },
    )
  })
})
