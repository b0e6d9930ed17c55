import { CsvError, parse } from 'csv-parse/sync'
import type { Bytes } from '#protocol/ids.ts'
import { COLUMNS_MAX, NAME_CHARS_MAX, WEIGHT_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'

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

/** UTF-8 with a header line, RFC 4180. Throws {@link DataFault}. */
export function parseCsv(path: string, bytes: Bytes): Table {
  let header: readonly string[] | undefined
  const cells: number[][] = []
  const textLines: number[] = []
  let rows = 0
  const take = (record: readonly string[], { lines }: { lines: number }) => {
    if (!header) {
      header = checkHeader(path, record)
      for (const _ of header) {
        cells.push([])
        textLines.push(0)
      }
      return null
    }
    if (++rows > WEIGHT_MAX) throw new DataFault(`${path}, line ${lines}: more than ${WEIGHT_MAX} rows`)
    for (const [index, cell] of record.entries()) {
      const value = numberOf(cell)
      if (value === undefined && textLines[index] === 0) textLines[index] = lines
      cells[index]?.push(value ?? Number.NaN)
    }
    return null
  }
  try {
    // A page decodes nothing that two threads share.
    parse(new TextDecoder().decode(bytes.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes), {
      bom: true,
      skip_empty_lines: true,
      max_record_size: COLUMNS_MAX * 1024,
      on_record: take,
    })
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause
    throw new DataFault(`${path}, line ${lineOf(cause)}: ${problemOf(cause.code)}`)
  }
  if (!header) throw new DataFault(`${path}: empty, where a header line belongs`)
  const columns = header.map((name, index): [string, Column] => [
    name,
    { values: Float64Array.from(cells[index] as number[]), textLine: textLines[index] as number },
  ])
  return { path, rows, columns: new Map(columns) }
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

function lineOf(error: CsvError): number {
  const { lines } = error as CsvError & { readonly lines?: number }
  return lines ?? 0
}

function problemOf(code: string): string {
  if (code.includes('FIELDS_LENGTH') || code.includes('DONT_MATCH'))
    return 'another number of cells than the header has'
  if (code.includes('QUOTE')) return 'a quotation mark where none belongs, or one that is never closed'
  if (code === 'CSV_MAX_RECORD_SIZE') return 'the line is too long'
  return code
}
