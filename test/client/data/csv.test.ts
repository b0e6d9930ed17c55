import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseCsv } from '#client/data/csv.ts'
import { DataFault } from '#client/data/fault.ts'

const parse = (text: string) => parseCsv('site.csv', new TextEncoder().encode(text))
const column = (text: string, name: string) => [...(parse(text).columns.get(name)?.values ?? [])]

test('numbers are read as they stand, and an empty cell is missing', () => {
  const text = '\uFEFFage,"chol", num \r\n63,233.5,0\r\n-1e2,,1\r\n+.5, 0 ,\r\n\r\n'
  expect(column(text, 'age')).toEqual([63, -100, 0.5])
  expect(column(text, 'chol')).toEqual([233.5, Number.NaN, 0])
  expect(column(text, 'num')).toEqual([0, 1, Number.NaN])
  expect(parse(text).rows).toBe(3)
})

test('every table of numbers and gaps comes back from its text', () => {
  const cell = fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: Number.NaN })
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.array(cell, { maxLength: 60 }), (width, cells) => {
      const rows = Array.from({ length: Math.floor(cells.length / width) }, (_, row) =>
        cells.slice(row * width, (row + 1) * width),
      )
      const lines = rows.map((row) => row.map((value) => (Number.isNaN(value) ? '' : String(value))).join(','))
      const text = [Array.from({ length: width }, (_, index) => `c${index}`).join(','), ...lines].join('\n')
      for (let index = 0; index < width; index++) {
        expect(column(text, `c${index}`).map((value) => value + 0)).toEqual(
          rows.map((row) => (row[index] as number) + 0),
        )
      }
    }),
  )
})

test('text is no number, and its first line is remembered', () => {
  const text = 'a,b\n1,2\n1,?\n1,NA\nInfinity,0x10\n1e999,3\n'
  expect(parse(text).columns.get('b')?.textLine).toBe(3)
  expect(parse(text).columns.get('a')?.textLine).toBe(5)
})

test.each([
  ['', 'site.csv: empty, where a header line belongs'],
  ['a,a\n1,2\n', 'site.csv, line 1: two columns are called a'],
  ['a,,c\n1,2,3\n', 'site.csv, line 1: column 2 has no name'],
  [`${'n'.repeat(101)}\n1\n`, 'site.csv, line 1: the name of column 1 is too long'],
  ['a,b\n1,2\n3\n', 'site.csv, line 3: another number of cells than the header has'],
  ['a,b\n1,2\n3,4,987654\n', 'site.csv, line 3: another number of cells than the header has'],
  ['a,b\n1,2\n3,"987654\n5,6\n', /^site\.csv, line \d+: a quotation mark/],
  [`a\n${'1\n'.repeat(65_537)}`, 'site.csv, line 65538: more than 65536 rows'],
  [`${Array.from({ length: 513 }, (_, index) => `c${index}`).join(',')}\n`, 'site.csv, line 1: more than 512 columns'],
  [`a\n${'9'.repeat(600_000)}\n`, /^site\.csv, line \d+: the line is too long/],
])('a file that is no table is refused with its name and line, and without a value (%#)', (text, message) => {
  expect(() => parse(text)).toThrow(DataFault)
  expect(() => parse(text)).toThrow(message)
  expect(() => parse(text)).not.toThrow(/987654/)
})
