import { utf8 } from '#protocol/bytes.ts'
import type { Part, Tokens } from '#protocol/task.ts'
import { readColumn } from './csv.ts'
import { DataFault } from './fault.ts'
import { refuse } from './features.ts'
import type { RandomAccess } from './source.ts'

type TextPart = Extract<Part, { kind: 'text' }>

/** A column's texts, `length` tokens of each row, zeros where one ends before. Throws {@link TrainingRefused} and {@link DataFault}. */
export async function readTokens(
  file: RandomAccess,
  { column, tokens, length }: Omit<TextPart, 'kind'>,
  tokensMax = TOKENS_HELD_MAX,
): Promise<Uint16Array> {
  const tokensOf = tokeniserOf(tokens)
  let read = new Uint16Array(length * ROWS_AT_FIRST)
  let rows = 0
  const isThere = await readColumn(file, column, (cell) => {
    if ((rows + 1) * length > tokensMax)
      throw new DataFault(`${file.path}: more than ${tokensMax} tokens, where a row has ${length}`)
    if ((rows + 1) * length > read.length) {
      const more = new Uint16Array(Math.min(2 * read.length, tokensMax))
      more.set(read)
      read = more
    }
    const found = tokensOf(cell)
    read.set(found.subarray(0, length), rows * length)
    rows++
  })
  return isThere ? read : refuse(`no column ${column}`)
}

const ROWS_AT_FIRST = 256
/** 65,536 rows of 1,024 tokens are 128 MiB. */
const TOKENS_HELD_MAX = 2 ** 26

/** A text as whole numbers, as many as it has. */
export function tokeniserOf(tokens: Tokens): (text: string) => Uint16Array {
  if (tokens.kind === 'bytes') return (text) => Uint16Array.from(utf8(text), (byte) => byte + 1)
  const places = new Map(tokens.vocabulary.map((word, index) => [word, index + FIRST_WORD]))
  return (text) => Uint16Array.from(wordsOf(text), (word) => places.get(word) ?? UNKNOWN_WORD)
}

const UNKNOWN_WORD = 1
const FIRST_WORD = 2

function wordsOf(text: string): readonly string[] {
  return (
    text
      .normalize('NFC')
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  )
}
