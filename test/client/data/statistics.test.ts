import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openDisk } from '#client/data/disk.ts'
import { formatIdx } from '#client/data/idx.ts'
import { readTable } from '#client/data/statistics.ts'
import { datasetVersion, tallyTable } from '#client/data/tally.ts'
import type { Item } from '#protocol/question.ts'
import { must } from '#test/aggregation/given.ts'
import { temporaryFolder } from '#test/folder.ts'
import { question } from '#test/statistics/given.ts'
import { tableFrom } from './table.ts'

const count: Item = { kind: 'count', column: 'age' }
const histogram = (...edges: number[]): Item => ({
  kind: 'histogram',
  column: 'age',
  edgesMicro: edges.map((edge) => Math.round(edge * 1e6)),
  quantilesPerMille: [],
})
const categories: Item = { kind: 'categories', column: 'age', levels: [-1, 0, 2] }
const moments = (resolutionMicro: number): Item => ({
  kind: 'moments',
  column: 'age',
  lowMicro: 0,
  highMicro: 1_000_000,
  resolutionMicro,
})
const tally = (text: string, item: Item) => must(tallyTable(tableFrom(text), question([item])))[0]
const ages = (...values: (number | string)[]) => `age,n\n${values.map((value) => `${value},1`).join('\n')}\n`

describe('a site counts', () => {
  test('rows, and those that miss a value', () => {
    expect(tally(ages(1, '', 3, ''), count)).toEqual({ kind: 'count', rows: 4n, missing: 2n })
  })

  test('values on an edge in the bin above it, on the last edge in the last bin', () => {
    expect(tally(ages(-0.1, 0, 0.29, 0.3, 0.1 + 0.2, 1, 1.000001), histogram(0, 0.3, 1))).toMatchObject({
      cells: [1n, 2n, 3n, 1n],
    })
  })

  test('any number, however large, in some cell', () => {
    expect(tally(ages(1e308, -1e308, 5e15, -0), histogram(0, 1))).toMatchObject({ cells: [1n, 1n, 2n] })
    expect(tally(ages(1e308, -1e308), moments(1))).toMatchObject({ sum: 1_000_000n, clipped: 2n })
  })

  test('levels as they are written, and any other value once', () => {
    expect(tally(ages(0, -0, 2, 2.5, 7, -1, ''), categories)).toMatchObject({ cells: [1n, 2n, 1n, 2n], missing: 1n })
  })

  test('steps from the lower bound, halves up, the upper bound included', () => {
    const steps = (value: number, resolutionMicro: number) => tally(ages(value), moments(resolutionMicro))
    expect(steps(0.149999, 100_000)).toMatchObject({ sum: 1n, squares: 1n, clipped: 0n })
    expect(steps(0.15, 100_000)).toMatchObject({ sum: 2n, squares: 4n, clipped: 0n })
    expect(steps(1, 300_000)).toMatchObject({ sum: 3n, clipped: 0n })
    expect(steps(1, 400_000)).toMatchObject({ sum: 3n, clipped: 0n })
    expect(steps(2, 1)).toMatchObject({ sum: 1_000_000n, clipped: 1n })
  })
})

describe('a site does not answer', () => {
  test('about a column that it lacks, and says which', () => {
    expect(tallyTable(tableFrom('sex\n1\n'), question([count]))).toEqual({
      ok: false,
      refusal: 'no-column',
      detail: 'this site has no column age',
    })
  })

  test('about a column of text, of which it cannot say what is missing', () => {
    expect(tallyTable(tableFrom('age\n1\n?\n'), question([count]))).toMatchObject({ refusal: 'text-column' })
  })

  test('from fewer rows than the minimum cell', () => {
    const asked = question([{ kind: 'count', column: null }], { minCell: 3 })
    expect(tallyTable(tableFrom(ages(1, 2)), asked)).toMatchObject({ refusal: 'too-few-rows' })
    expect(tallyTable(tableFrom(ages(1, 2, 3)), asked).ok).toBe(true)
  })

  test('about a column of fewer values than the minimum cell; how many it misses it may say', () => {
    const text = ages(1, '', 3, '')
    expect(tallyTable(tableFrom(text), question([categories], { minCell: 3 }))).toMatchObject({
      refusal: 'too-few-values',
    })
    expect(tallyTable(tableFrom(text), question([count], { minCell: 3 })).ok).toBe(true)
  })
})

describe('the version of a dataset', () => {
  const version = (text: string) => datasetVersion(tableFrom(text))
  const sound = version('age,sex\n63,1\n,0\n40,1\n')

  test.each([
    ['rows in another order', 'age,sex\n40,1\n63,1\n,0\n'],
    ['columns in another order', 'sex,age\n1,63\n0,\n1,40\n'],
    ['numbers written otherwise', '\uFEFFage, sex \r\n6.3e1,"1"\r\n,-0\r\n\r\n+40.0,01\r\n'],
  ])('stays the same with %s', (_, text) => {
    expect(version(text)).toBe(sound)
  })

  test.each([
    ['a row more', 'age,sex\n63,1\n,0\n40,1\n40,1\n'],
    ['a row less', 'age,sex\n63,1\n,0\n'],
    ['another value', 'age,sex\n63,1\n,0\n41,1\n'],
    ['a value where none was', 'age,sex\n63,1\n0,0\n40,1\n'],
    ['values swapped between rows', 'age,sex\n63,1\n40,0\n,1\n'],
    ['another name', 'age,gender\n63,1\n,0\n40,1\n'],
    ['names swapped', 'sex,age\n63,1\n,0\n40,1\n'],
    ['a column more', 'age,sex,n\n63,1,1\n,0,1\n40,1,1\n'],
  ])('changes with %s', (_, text) => {
    expect(version(text)).not.toBe(sound)
  })

  test('is the same for every order of any rows', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 })), { maxLength: 20 })
    const text = (all: readonly (readonly number[])[]) => ['a,b', ...all.map((row) => row.join(','))].join('\n')
    fc.assert(
      fc.property(rows, fc.infiniteStream(fc.nat()), (all, chance) => {
        const order = all.map((row) => [row, chance.next().value] as const).sort(([, a], [, b]) => a - b)
        expect(version(text(order.map(([row]) => row)))).toBe(version(text(all)))
      }),
    )
  })
})

test('of images the labels can be asked about, and a table is read as it is', async () => {
  await using folder = await temporaryFolder()
  const [labels, images, site] = ['labels.idx', 'images.idx', 'site.csv'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  await writeFile(labels, formatIdx({ sides: [4], bytes: Uint8Array.of(3, 0, 3, 9) }))
  await writeFile(site, ages(1, 2))
  const digits: Item = { kind: 'categories', column: 'label', levels: [0, 3] }
  const asked = question([{ kind: 'count', column: null }, digits])
  expect(must(tallyTable(await readTable({ kind: 'idx', images, labels }, openDisk), asked))).toEqual([
    { kind: 'count', rows: 4n, missing: 0n },
    { kind: 'cells', missing: 0n, suppressed: 0n, cells: [1n, 2n, 1n] },
  ])
  expect((await readTable({ kind: 'csv', path: site }, openDisk)).rows).toBe(2)
})
