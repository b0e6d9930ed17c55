import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { integerQuantiserFor } from '#aggregation/quantise.ts'
import { encodeTallies, payloadOf } from '#aggregation/statistics/lanes.ts'
import type { Tally } from '#aggregation/statistics/tally.ts'
import { encodeLanes, lanesOf, type RingVector, widthOf } from '#aggregation/vector.ts'
import type { Table } from '#client/data/csv.ts'
import { tallyTable } from '#client/data/tally.ts'
import { once } from '#protocol/bytes.ts'
import { type Item, type Question, questionSchema } from '#protocol/question.ts'
import { must } from '#test/aggregation/given.ts'

export const quantiser = integerQuantiserFor(128)

export function question(items: readonly Item[], change: Partial<Question> = {}): Question {
  return questionSchema.parse({
    v: 1,
    kind: 'question',
    name: 'a question',
    minCell: 1,
    minCohort: 3,
    items,
    ...change,
  })
}

/** A table by column; null is a missing value. */
export function table(columns: Readonly<Record<string, readonly (number | null)[]>>): Table {
  const read = Object.entries(columns).map(([name, cells]) => {
    const values = Float64Array.from(cells, (cell) => cell ?? Number.NaN)
    return [name, { values, textLine: 0 }] as const
  })
  return { path: 'site.csv', rows: read[0]?.[1].values.length ?? 0, columns: new Map(read) }
}

/** The sum of these sites' vectors, as the aggregator adds them. */
export async function sumOf(asked: Question, sites: readonly (readonly Tally[])[]): Promise<RingVector> {
  const vectors = sites.map((tallies) => once(encodeLanes(encodeTallies(asked, tallies, quantiser))))
  return must(await accumulate(vectors, lanesOf(widthOf(payloadOf(asked, quantiser)))))
}

export function tallies(asked: Question, sites: readonly Table[]): readonly (readonly Tally[])[] {
  return sites.map((site) => must(tallyTable(site, asked)))
}

/** A row of the property tests: a real in millionths and a whole number, either of which may be missing. */
export type Row = { readonly micro: number | null; readonly level: number | null }

/** Sites whose values pile up on edges, between them and beyond them. */
export function sitesOf(rowsMin: number) {
  const micro = fc.oneof(
    fc.integer({ min: -3, max: 13 }).map((units) => units * 1_000_000),
    fc.integer({ min: -3_000_000, max: 13_000_000 }),
  )
  const row = fc.record({
    micro: fc.option(micro, { freq: 10 }),
    level: fc.option(fc.integer({ min: -1, max: 4 }), { freq: 10 }),
  })
  return fc.array(fc.array(row, { minLength: rowsMin, maxLength: rowsMin + 40 }), { minLength: 3, maxLength: 8 })
}

export function tableOf(rows: readonly Row[]): Table {
  return table({
    x: rows.map(({ micro }) => (micro === null ? null : micro / 1_000_000)),
    c: rows.map(({ level }) => level),
  })
}
