import { COLUMNS_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'
import { piecesOf, type RandomAccess } from './source.ts'

/** A record's cells, and the line on which it begins. */
export type TakeRecord = (cells: readonly string[], line: number) => void

/** Characters of one record, quotation marks and all. */
const RECORD_CHARS_MAX = COLUMNS_MAX * 1024

/** The records of a file, in their order, in one pass: no more of it is held than a piece and a record. */
export async function readRecords(file: RandomAccess, take: TakeRecord): Promise<void> {
  const reader = new RecordReader(file.path, take)
  for await (const piece of piecesOf(file)) reader.push(piece)
  reader.end()
}

/** RFC 4180, UTF-8 with or without its mark; lines end in CR, LF or both, and empty ones are left out. Throws {@link DataFault}. */
export class RecordReader {
  readonly #path: string
  readonly #take: TakeRecord
  readonly #decoder = new TextDecoder()
  /** What is not a whole record yet. */
  #rest = ''
  #line = 1

  constructor(path: string, take: TakeRecord) {
    this.#path = path
    this.#take = take
  }

  push(bytes: Uint8Array): void {
    this.#read(this.#rest + this.#decoder.decode(bytes, { stream: true }), false)
  }

  end(): void {
    this.#read(this.#rest + this.#decoder.decode(), true)
  }

  #read(text: string, isLast: boolean): void {
    let from = 0
    while (from < text.length) {
      const next = this.#record(text, from, isLast)
      if (next === undefined) break
      from = next
    }
    this.#rest = text.slice(from)
    if (this.#rest.length > RECORD_CHARS_MAX) this.#fault('the line is too long')
  }

  /** @returns where the next one begins; undefined where this one does not end yet */
  #record(text: string, from: number, isLast: boolean): number | undefined {
    const cells: string[] = []
    let lines = 1
    let at = from
    for (;;) {
      const isQuoted = text.charCodeAt(at) === QUOTE
      const end = isQuoted ? closing(text, at + 1) : plainEnd(text, at)
      if (end === undefined) return isLast ? this.#fault(MISPLACED) : undefined
      if (!isQuoted && text.charCodeAt(end) === QUOTE) return this.#fault(MISPLACED)
      const cell = isQuoted ? text.slice(at + 1, end).replaceAll('""', '"') : text.slice(at, end)
      if (isQuoted) lines += linesIn(cell)
      cells.push(cell)
      at = isQuoted ? end + 1 : end
      const code = text.charCodeAt(at)
      if (code === COMMA) {
        at++
        continue
      }
      // Whether this is all of a cell, or of a line's end, the next piece tells.
      if (!isLast && (at >= text.length || (code === CR && at + 1 >= text.length))) return undefined
      if (at < text.length && code !== LF && code !== CR) return this.#fault(MISPLACED)
      if (at - from > RECORD_CHARS_MAX) return this.#fault('the line is too long')
      if (cells.length > 1 || isQuoted || cell !== '') this.#take(cells, this.#line)
      this.#line += lines
      return at + (code === CR && text.charCodeAt(at + 1) === LF ? 2 : 1)
    }
  }

  #fault(problem: string): never {
    throw new DataFault(`${this.#path}, line ${this.#line}: ${problem}`)
  }
}

const [QUOTE, COMMA, LF, CR] = [34, 44, 10, 13]
const MISPLACED = 'a quotation mark where none belongs, or one that is never closed'

function plainEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === COMMA || code === LF || code === CR || code === QUOTE) return at
  }
  return text.length
}

/** Where the mark is that closes a cell: two of them stand for one. Undefined where the text ends before. */
function closing(text: string, from: number): number | undefined {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2))
    if (text.charCodeAt(at + 1) !== QUOTE) return at
  return undefined
}

function linesIn(cell: string): number {
  return cell.split(/\r\n|\r|\n/).length - 1
}
