import type { ImageContract, JointContract, Label, Part, TableContract, TextContract, Tokens } from '#protocol/task.ts'
import { micro } from './real.ts'

/** What a site's data have to be: a contract that each node checks against its own files. No data are in it. */

type Column = TableContract['columns'][number]
/** A site counts no more rows than this: its weight in the mean. */
const ROWS_MAX = 65_536

/** @property gaps some site lacks values of it */
type Gaps = { readonly gaps?: boolean }

export function number(name: string, { gaps = false }: Gaps = {}): Column {
  return { kind: 'number', name, gaps }
}

/** @param levels the whole numbers that stand for its kinds */
export function category(name: string, levels: readonly number[], { gaps = false }: Gaps = {}): Column {
  return { kind: 'category', name, levels, gaps }
}

/** The class is what the column says: 0 … classes − 1. */
export function classIn(column: string, classes: number): Label {
  return { column, rule: 'integer', classes }
}

/** 0 is class 0, whatever else is class 1. */
export function notZero(column: string): Label {
  return { column, rule: 'not-zero', classes: 2 }
}

/** Each column says whether something is there, 1, or not, 0; empty where nobody knows. `positive`: what one that is there counts. */
export function multiLabel(
  labels: readonly (string | { readonly column: string; readonly positive?: number })[],
): Label {
  return {
    rule: 'multi-label',
    labels: labels.map((label) => {
      if (typeof label === 'string') return { column: label }
      const { column, positive } = label
      return { column, ...(positive !== undefined && { positiveMicro: micro(positive, 'a weight') }) }
    }),
  }
}

/** A number, as (value − centre) ÷ scale: both public, and the same at every site. */
export function value(
  column: string,
  { centre = 0, scale = 1 }: { readonly centre?: number; scale?: number } = {},
): Label {
  return { column, rule: 'number', centreMicro: micro(centre, 'a centre'), scaleMicro: micro(scale, 'a scale') }
}

type Rows = { readonly rowsMax?: number }
type ImageSides = { readonly height: number; readonly width: number; readonly channels?: number }

export function imageData({
  height,
  width,
  channels = 1,
  classes,
  rowsMax = ROWS_MAX,
}: ImageSides & Rows & { readonly classes: number }): ImageContract {
  return { kind: 'image', height, width, channels, classes, rowsMax }
}

export function tableData({
  columns,
  label,
  rowsMax = ROWS_MAX,
}: Rows & { readonly columns: readonly Column[]; readonly label: Label }): TableContract {
  return { kind: 'table', columns, label, rowsMax }
}

/** Its UTF-8, byte by byte; 0 fills up. */
export const BYTES: Tokens = { kind: 'bytes' }

/** Its words: 0 fills up, 1 is a word that is not named, the first that is named is 2. */
export function words(vocabulary: readonly string[]): Tokens {
  return { kind: 'words', vocabulary }
}

type TextOf = { readonly column: string; readonly tokens: Tokens; readonly length: number }

export function textData({
  column,
  tokens,
  length,
  label,
  rowsMax = ROWS_MAX,
}: TextOf & Rows & { readonly label: Label }): TextContract {
  return { kind: 'text', column, tokens, length, label, rowsMax }
}

/** Row i of a table and row i of the images are one. */
export function jointData({
  parts,
  label,
  rowsMax = ROWS_MAX,
}: Rows & { readonly parts: readonly Part[]; readonly label: Label }): JointContract {
  return { kind: 'joint', parts, label, rowsMax }
}

export function tablePart(columns: readonly Column[]): Part {
  return { kind: 'table', columns }
}

export function imagePart({ height, width, channels = 1 }: ImageSides): Part {
  return { kind: 'image', height, width, channels }
}

export function textPart({ column, tokens, length }: TextOf): Part {
  return { kind: 'text', column, tokens, length }
}
