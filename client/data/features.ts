import { featuresOf } from '#protocol/features.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { sizeOf } from '#protocol/shapes.ts'
import type { Part } from '#protocol/task.ts'
import type { Column, Table } from './csv.ts'
import type { IdxRows } from './idx.ts'

/** What one part of a contract makes of a site's rows: so many floats of each. */
export type Features = {
  readonly width: number
  readonly inMemory: boolean
  /** Writes those of row `batch[i]` at `offset + i × stride`, whatever was there. */
  read(batch: Int32Array, into: Float32Array, place: Place): Promise<void>
}
export type Place = { readonly offset: number; readonly stride: number }

type TablePart = Pick<Extract<Part, { kind: 'table' }>, 'kind' | 'columns'>
type ImagePart = Extract<Part, { kind: 'image' }>

/** A data set's rows: where each lies in its source, and which of them training sees. */
export type Chosen = { readonly rows: Int32Array; readonly train: Int32Array }

/**
 * Numbers are z-scored by this site's own training rows (mean, unbiased deviation); categories are one-hot without their first
 * level; a gap takes the training mean of each of its features and, where the contract expects gaps, raises a flag. Worked out
 * as they are read: laid out, the levels of a large table would fill a memory. Throws {@link TrainingRefused}, which names
 * columns and never a value.
 */
export function tableFeatures(table: Table, part: TablePart, { rows, train }: Chosen): Features {
  const [width] = featuresOf(part) as readonly [number]
  const encoders = part.columns.map((column) => {
    const from = columnOf(table, column.name)
    const values = Float64Array.from(rows, (row) => from.values[row] as number)
    if (!column.gaps && values.some(Number.isNaN))
      refuse(`column ${column.name} has gaps, which its contract does not expect`)
    const write = column.kind === 'number' ? zScores(values, train) : oneHot(column, values, train)
    const features = column.kind === 'number' ? 1 : column.levels.length - 1
    return { values, write, features, gaps: column.gaps }
  })
  return {
    width,
    inMemory: true,
    async read(batch, into, { offset, stride }) {
      let first = offset
      for (const { values, write, features, gaps } of encoders) {
        for (let index = 0, at = first; index < batch.length; index++, at += stride) {
          const value = values[batch[index] as number] as number
          write(value, into, at)
          if (gaps) into[at + features] = Number.isNaN(value) ? 1 : 0
        }
        first += features + (gaps ? 1 : 0)
      }
    },
  }
}

/** Rows of numbers that lie one after another, `width` each. */
export function copyRows(
  from: { readonly values: Float32Array | Uint16Array; readonly width: number },
  rows: Int32Array,
  into: Float32Array,
  { offset, stride }: Place,
): void {
  const { values, width } = from
  for (let index = 0; index < rows.length; index++) {
    const at = (rows[index] as number) * width
    into.set(values.subarray(at, at + width), offset + index * stride)
  }
}

/** Whole numbers, `width` of each row of the source. */
export function tokenFeatures(tokens: Uint16Array, width: number, { rows }: Chosen): Features {
  return {
    width,
    inMemory: true,
    async read(batch, into, place) {
      copyRows(
        { values: tokens, width },
        batch.map((row) => rows[row] as number),
        into,
        place,
      )
    },
  }
}

const SHADES = Float32Array.from({ length: 256 }, (_, shade) => shade / 255)

/** Images of bytes, scaled to 0…1 as they are read. */
export function imageFeatures(images: IdxRows, part: ImagePart, { rows }: Chosen): Features {
  const shape = featuresOf(part)
  const [, ...sides] = images.sides
  const found = sides.length === 2 ? [...sides, 1] : sides
  if (String(found) !== String(shape))
    refuse(`images of [${found.join(', ')}], where the contract says [${shape.join(', ')}]`)
  const width = sizeOf({ shape })
  return {
    width,
    inMemory: images.inMemory,
    async read(batch, into, { offset, stride }) {
      const pixels = await images.read(batch.map((row) => rows[row] as number))
      for (let index = 0; index < batch.length; index++) {
        const [from, to] = [index * width, offset + index * stride]
        for (let pixel = 0; pixel < width; pixel++) into[to + pixel] = SHADES[pixels[from + pixel] as number] as number
      }
    },
  }
}

export function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name)
  if (!column) return refuse(`no column ${name}`)
  if (column.textLine > 0) refuse(`column ${name} holds text`)
  return column
}

export function refuse(detail: string): never {
  throw new TrainingRefused('data-contract', detail)
}
/** Writes the features of one value. */
type Write = (value: number, into: Float32Array, at: number) => void

function zScores(values: Float64Array, train: Int32Array): Write {
  const known = Float64Array.from(train, (row) => values[row] as number).filter((value) => !Number.isNaN(value))
  const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(known.length, 1)
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const deviation = Math.sqrt(squares / Math.max(known.length - 1, 1))
  return (value, into, at) => {
    into[at] = Number.isNaN(value) || deviation === 0 ? 0 : (value - mean) / deviation
  }
}

type Category = Extract<TablePart['columns'][number], { kind: 'category' }>

/** An unknown level is refused: encoded as zeros it would silently count as the first one. */
function oneHot({ name, levels }: Category, values: Float64Array, train: Int32Array): Write {
  if (values.some((value) => !Number.isNaN(value) && !levels.includes(value)))
    refuse(`column ${name} holds a level that its contract does not name`)
  const known = train.filter((row) => !Number.isNaN(values[row]))
  const shares = levels.slice(1).map((level) => {
    return known.reduce((sum, row) => sum + (values[row] === level ? 1 : 0), 0) / Math.max(known.length, 1)
  })
  return (value, into, at) => {
    if (Number.isNaN(value)) return into.set(shares, at)
    into.fill(0, at, at + shares.length)
    if (value !== levels[0]) into[at + levels.indexOf(value) - 1] = 1
  }
}
