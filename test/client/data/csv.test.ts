import { expect, test } from '@jest/globals'
import { parse as parseElsewhere } from 'csv-parse/sync'
import fc from 'fast-check'
import { readColumn, readCsv } from '#client/data/csv.ts'
import { openDataset } from '#client/data/dataset.ts'
import { DataFault } from '#client/data/fault.ts'
import { RecordReader } from '#client/data/records.ts'
import { inMemory } from '#client/data/source.ts'
import { tableOf } from '../trainers/tasks.ts'
import { tableFrom } from './table.ts'

const column = (text: string, name: string) => [...(tableFrom(text).columns.get(name)?.values ?? [])]

test('numbers are read as they stand, and an empty cell is missing', () => {
  const text = '\uFEFFage,"chol", num \r\n63,233.5,0\r\n-1e2,,1\r\n+.5, 0 ,\r\n\r\n'
  expect(column(text, 'age')).toEqual([63, -100, 0.5])
  expect(column(text, 'chol')).toEqual([233.5, Number.NaN, 0])
  expect(column(text, 'num')).toEqual([0, 1, Number.NaN])
  expect(tableFrom(text).rows).toBe(3)
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
  expect(tableFrom(text).columns.get('b')?.textLine).toBe(3)
  expect(tableFrom(text).columns.get('a')?.textLine).toBe(5)
})

test.each([
  ['', 'site.csv: empty, where a header line belongs'],
  ['a,a\n1,2\n', 'site.csv, line 1: two columns are called a'],
  ['a,,c\n1,2,3\n', 'site.csv, line 1: column 2 has no name'],
  [`${'n'.repeat(101)}\n1\n`, 'site.csv, line 1: the name of column 1 is too long'],
  ['a,b\n1,2\n3\n', 'site.csv, line 3: another number of cells than the header has'],
  ['a,b\n1,2\n3,4,987654\n', 'site.csv, line 3: another number of cells than the header has'],
  ['a,b\n1,2\n3,"987654\n5,6\n', /^site\.csv, line \d+: a quotation mark/],
  [`${Array.from({ length: 513 }, (_, index) => `c${index}`).join(',')}\n`, 'site.csv, line 1: more than 512 columns'],
  [`a\n${'9'.repeat(600_000)}\n`, /^site\.csv, line \d+: the line is too long/],
])('a file that is no table is refused with its name and line, and without a value (%#)', (text, message) => {
  expect(() => tableFrom(text)).toThrow(DataFault)
  expect(() => tableFrom(text)).toThrow(message)
  expect(() => tableFrom(text)).not.toThrow(/987654/)
})

test('a table is as large as memory is to hold, and no larger', () => {
  expect(tableFrom(`a\n${'1\n'.repeat(70_000)}`).rows).toBe(70_000)
  const text = 'a,b\n1,2\n3,4\n5,6\n'
  expect(tableFrom(text, { rows: 3, cells: 6 }).rows).toBe(3)
  expect(() => tableFrom(text, { rows: 2, cells: 6 })).toThrow('site.csv, line 4: more than 2 rows')
  expect(() => tableFrom(text, { rows: 3, cells: 5 })).toThrow('site.csv, line 4: more than 5 cells, 2 of each row')
})

/** Cells that need quotation marks, and cells that do not. */
const cell = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '1', '"', ',', '\n', '\r', 'é', '𝄞', ' '), maxLength: 8 }),
  fc.double({ noNaN: true }).map(String),
)
const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

test('records are those of another reader, in whatever pieces they come', () => {
  const records = fc
    .integer({ min: 2, max: 4 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 12 }))
  const ends = fc.constantFrom('\n', '\r\n', '\r')
  fc.assert(
    fc.property(records, ends, fc.boolean(), fc.array(fc.nat(), { maxLength: 9 }), (records, end, ended, cuts) => {
      const text = records.map((record) => record.map(quoted).join(',')).join(end) + (ended ? end : '')
      const bytes = new TextEncoder().encode(text)
      const read: (readonly string[])[] = []
      const reader = new RecordReader('site.csv', (record) => void read.push(record))
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
      for (const [index, from] of places.slice(0, -1).entries()) reader.push(bytes.subarray(from, places[index + 1]))
      reader.end()
      expect(read).toEqual(parseElsewhere(text, { record_delimiter: end, skip_empty_lines: true }))
    }),
  )
})

test('no text, however broken, does anything but be read or be refused by name', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('"', ',', '\n', '\r', 'a', '1', '\0', '\uFEFF', ' '),
    maxLength: 40,
  })
  fc.assert(
    fc.property(hostile, (text) => {
      try {
        const { rows, columns } = tableFrom(text)
        for (const { values } of columns.values()) expect(values).toHaveLength(rows)
      } catch (cause) {
        expect(cause).toBeInstanceOf(DataFault)
      }
    }),
  )
})

test('of a table every piece waits for its checkpoint, and one that is stopped in it is read anew', async () => {
  const bytes = new TextEncoder().encode(`x0,x1,y\n${'0.123456789,-0.987654321,1\n'.repeat(30_000)}`)
  let [asked, stopsAt] = [0, 2]
  const opened = openDataset(
    { kind: 'csv', path: 'site.csv' },
    async (path) => inMemory(path, bytes),
    () => {
      if (++asked === stopsAt) throw new Error('stopped')
    },
  )
  const seed = new Uint8Array(32)
  await expect(opened(tableOf(2, 2), seed)).rejects.toThrow('stopped')
  expect(asked).toBe(2)
  stopsAt = 0
  asked = 0
  expect((await opened(tableOf(2, 2), seed)).labelled).toBe(30_000)
  expect(asked).toBe(Math.ceil(bytes.length / 2 ** 18))
  await opened({ ...tableOf(2, 2), rowsMax: 10 }, seed)
  expect(asked).toBe(Math.ceil(bytes.length / 2 ** 18))
})

test('a file of many pieces is the table that it is in one', async () => {
  const lines = Array.from(
    { length: 30_000 },
    (_, row) => `${row},"row ${row}, of some",${row % 7 === 0 ? '' : row / 8}`,
  )
  const bytes = new TextEncoder().encode(['id,note,value', ...lines].join('\r\n'))
  const file = inMemory('site.csv', bytes)
  const { rows, columns } = await readCsv(file)
  expect(rows).toBe(30_000)
  const values = columns.get('value')?.values as Float64Array
  expect([...values.subarray(0, 9)]).toEqual([Number.NaN, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, Number.NaN, 1])
  expect(values.at(-1)).toBe(29_999 / 8)
  expect(columns.get('note')?.textLine).toBe(2)
  const notes: string[] = []
  expect(await readColumn(file, 'note', (note) => void notes.push(note))).toBe(true)
  expect(notes).toEqual(lines.map((_, row) => `row ${row}, of some`))
  expect(await readColumn(file, 'other', () => expect(true).toBe(false))).toBe(false)
})
