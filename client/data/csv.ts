import { COLUMNS_MAX, FILE_ROWS_MAX, NAME_CHARS_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'
import { readRecords, type TakeRecord } from './records.ts'
import { checkSize, type RandomAccess } from './source.ts'

/** A table of numbers by column. An empty cell is missing and reads as NaN; so does text, which `text` tells apart. */
export type Table = {
  readonly path: string
  readonly rows: number
  readonly columns: ReadonlyMap<string, Column>
}
export type Column = {
  readonly values: Float64Array
  /** The first line that holds neither a number nor nothing; 0 when there is none. */
  readonly textLine: number
}

/** A file is read in one pass, so that its size bounds time and no memory: what is kept of it is numbers. */
const CSV_BYTES_MAX = 1024 ** 3
export type TableBounds = { readonly rows: number; readonly cells: number }
/** Of a table in memory: 512 MiB of numbers at most. */
const TABLE_MAX: TableBounds = { rows: FILE_ROWS_MAX, cells: 2 ** 26 }

/** A table from a file: UTF-8 with a header line, RFC 4180. Throws {@link DataFault}, and the world's faults. */
export async function readCsv(file: RandomAccess): Promise<Table> {
  checkSize(file, CSV_BYTES_MAX)
  const table = new TableReader(file.path)
  await readRecords(file, table.take)
  return table.end()
}

/** One cell of each row, by the name of its column. Throws {@link DataFault}. @returns whether there is such a column */
export async function readColumn(file: RandomAccess, name: string, take: (cell: string) => void): Promise<boolean> {
  checkSize(file, CSV_BYTES_MAX)
  const rows = new RowReader(file.path)
  let column = -1
  await readRecords(file, (cells, line) => {
    if (!rows.take(cells, line)) column = rows.header.indexOf(name)
    else if (column >= 0) take(cells[column] as string)
  })
  return column >= 0
}

/** The first record is the header, and the others have as many cells. */
class RowReader {
  readonly #path: string
  readonly #rowsMax: number
  #header: readonly string[] | undefined
  rows = 0

  constructor(path: string, rowsMax = FILE_ROWS_MAX) {
    this.#path = path
    this.#rowsMax = rowsMax
  }

  get header(): readonly string[] {
    if (!this.#header) throw new DataFault(`${this.#path}: empty, where a header line belongs`)
    return this.#header
  }

  /** @returns whether it is a row, and not the header */
  take(cells: readonly string[], line: number): boolean {
    if (!this.#header) {
      this.#header = checkHeader(this.#path, cells)
      return false
    }
    if (cells.length !== this.#header.length)
      throw new DataFault(`${this.#path}, line ${line}: another number of cells than the header has`)
    if (++this.rows > this.#rowsMax) throw new DataFault(`${this.#path}, line ${line}: more than ${this.#rowsMax} rows`)
    return true
  }
}

/** Numbers by column, from records that come one by one. */
export class TableReader {
  readonly #path: string
  readonly #cellsMax: number
  readonly #reader: RowReader
  readonly #columns: Growing[] = []

  constructor(path: string, most = TABLE_MAX) {
    this.#path = path
    this.#cellsMax = most.cells
    this.#reader = new RowReader(path, most.rows)
  }

  readonly take: TakeRecord = (cells, line) => {
    if (!this.#reader.take(cells, line)) {
      for (const _ of cells) this.#columns.push({ values: new Float64Array(ROWS_AT_FIRST), textLine: 0 })
      return
    }
    const row = this.#reader.rows - 1
    if (this.#reader.rows * cells.length > this.#cellsMax)
      throw new DataFault(`${this.#path}, line ${line}: more than ${this.#cellsMax} cells, ${cells.length} of each row`)
    for (const [index, cell] of cells.entries()) {
      const column = this.#columns[index] as Growing
      const value = numberOf(cell)
      if (value === undefined && column.textLine === 0) column.textLine = line
      if (row === column.values.length) column.values = grown(column.values)
      column.values[row] = value ?? Number.NaN
    }
  }

  end(): Table {
    const { header, rows } = this.#reader
    const columns = header.map((name, index): [string, Column] => {
      const { values, textLine } = this.#columns[index] as Growing
      return [name, { values: values.slice(0, rows), textLine }]
    })
    return { path: this.#path, rows, columns: new Map(columns) }
  }
}

type Growing = { values: Float64Array; textLine: number }

const ROWS_AT_FIRST = 256

function grown(values: Float64Array): Float64Array {
  const more = new Float64Array(2 * values.length)
  more.set(values)
  return more
}
function checkHeader(path: string, names: readonly string[]): readonly string[] {
  const trimmed = names.map((name) => name.trim())
  if (trimmed.length > COLUMNS_MAX) throw new DataFault(`${path}, line 1: more than ${COLUMNS_MAX} columns`)
  for (const [index, name] of trimmed.entries()) {
    if (name === '') throw new DataFault(`${path}, line 1: column ${index + 1} has no name`)
    if (name.length > NAME_CHARS_MAX)
      throw new DataFault(`${path}, line 1: the name of column ${index + 1} is too long`)
    if (trimmed.indexOf(name) !== index) throw new DataFault(`${path}, line 1: two columns are called ${name}`)
  }
  return trimmed
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i

/** NaN for an empty cell, undefined for text (also for a number too large to be one). */
function numberOf(cell: string): number | undefined {
  const text = cell.trim()
  if (text === '') return Number.NaN
  const value = NUMBER.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(value) ? value : undefined
}
