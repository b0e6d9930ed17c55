import { describe, expect, test } from '@jest/globals'
import { integerQuantiserFor } from '#aggregation/quantise.ts'
import { payloadOf } from '#aggregation/statistics/lanes.ts'
import { vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import { decode, encode } from '#protocol/codec.ts'
import { isAttachable } from '#protocol/envelope.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import { must } from '#test/aggregation/given.ts'

const age = { kind: 'moments', column: 'age', lowMicro: 0, highMicro: 120_000_000, resolutionMicro: 10 } as const
const ages = { kind: 'histogram', column: 'age', edgesMicro: [0, 60_000_000, 120_000_000], quantilesPerMille: [500] }
const sex = { kind: 'categories', column: 'sex', levels: [0, 1] } as const
const rows = { kind: 'count', column: null } as const
const sound = { v: 1, kind: 'question', name: 'first look', minCell: 10, minCohort: 3, items: [rows, age, ages, sex] }

const problem = (change: object): string => {
  const read = questionSchema.safeParse({ ...sound, ...change })
  return read.success ? '' : read.error.issues.map(({ path, message }) => `${path.join('/')}: ${message}`).join('; ')
}

test('a question comes back from its canonical bytes', () => {
  const asked = questionSchema.parse(sound)
  expect(must(decode(questionSchema, encode(questionSchema, asked), BLOCK_BYTES_MAX))).toEqual(asked)
})

describe('a question is refused', () => {
  test.each<readonly [string, object, RegExp]>([
    ['without items', { items: [] }, /items/],
    ['with too many items', { items: Array(65).fill(rows) }, /items/],
    ['over two sites', { minCohort: 2 }, /minCohort/],
    ['with a minimum cell of none', { minCell: 0 }, /minCell/],
    ['with a field that nobody knows', { extra: 1 }, /extra/],
    ['with a float', { items: [{ ...age, lowMicro: 0.5 }] }, /lowMicro/],
    ['with bounds in the wrong order', { items: [{ ...age, lowMicro: 120_000_000 }] }, /lower bound/],
    ['with more steps than a float32 has', { items: [{ ...age, resolutionMicro: 7 }] }, /16777216 steps/],
    ['with one edge', { items: [{ ...ages, edgesMicro: [0] }] }, /edgesMicro/],
    ['with an edge twice', { items: [{ ...ages, edgesMicro: [0, 1, 1] }] }, /edges ascend/],
    ['for the least value', { items: [{ ...ages, quantilesPerMille: [0] }] }, /quantilesPerMille/],
    ['for the largest value', { items: [{ ...ages, quantilesPerMille: [1000] }] }, /quantilesPerMille/],
    ['with a level twice', { items: [{ ...sex, levels: [1, 1] }] }, /levels ascend/],
    ['with 41 levels', { items: [{ ...sex, levels: Array.from({ length: 41 }, (_, level) => level) }] }, /levels/],
    ['with a name longer than a column has', { items: [{ ...sex, column: 'n'.repeat(101) }] }, /column/],
  ])('%s', (_, change, message) => {
    expect(problem(change)).toMatch(message)
  })

  test('with more cells than its vector has room for', () => {
    const edgesMicro = Array.from({ length: 257 }, (_, edge) => edge)
    const items = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...ages, column: `c${index}`, edgesMicro }))
    expect(problem({ items: items(16) })).toMatch(/4096 cells/)
    expect(problem({ items: items(15) })).toBe('')
  })

  /** Answers of which the difference is a cell that was too small to be one. */
  test.each<readonly [string, readonly object[], RegExp]>([
    ['two histograms', [ages, { ...ages, edgesMicro: [0, 59_000_000, 120_000_000] }], /items\/1: a second histogram/],
    ['two sums with other bounds', [age, { ...age, highMicro: 100_000_000 }], /items\/1: a second moments/],
    ['bins and levels', [ages, { ...sex, column: 'age' }], /items\/1: categories and histogram/],
    ['levels and sums', [age, { ...sex, column: 'age' }], /items\/1: categories and moments/],
    ['sums and bins between other bounds', [ages, { ...age, highMicro: 100_000_000 }], /items\/1: .* outer edges/],
  ])('that could be subtracted from itself: %s of one column', (_, items, message) => {
    expect(problem({ items })).toMatch(message)
  })

  test('not for asking about two columns, or of how many rows one is missing', () => {
    expect(problem({ items: [ages, { ...ages, column: 'pulse' }, { kind: 'count', column: 'age' }, rows] })).toBe('')
  })
})

test('the longest vector of any question travels with its frame', () => {
  const quantiser = integerQuantiserFor(128)
  const edgesMicro = Array.from({ length: 257 }, (_, edge) => edge)
  const columns = Array.from({ length: 32 }, (_, index) => `c${index}`)
  const items = columns.flatMap((column, index) => [
    { ...age, column, lowMicro: 0, highMicro: 256, resolutionMicro: 1 },
    { ...ages, column, edgesMicro: index < 14 ? edgesMicro : [...edgesMicro.slice(0, 20), 256] },
  ])
  const asked = questionSchema.parse({ ...sound, items }) as Question
  expect(isAttachable(vectorBytesOf(widthOf(payloadOf(asked, quantiser))))).toBe(true)
})
