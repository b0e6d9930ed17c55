import { featuresOf } from '#protocol/features.ts'
import type { Bytes } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { sizeOf } from '#protocol/shapes.ts'
import type { Part } from '#protocol/task.ts'
import type { Column, Table } from './csv.ts'
import type { IdxRows } from './idx.ts'

/** What one part of a contract makes of a site's rows: so many floats of each. */
export type Features = {
  readonly width: number
  readonly inMemory: boolean
  /** Writes those of row `batch[i]` at `offset + i × stride`, whatever was there: at once, where they are in memory. */
  read(batch: Int32Array, into: Float32Array, place: Place): void | Promise<void>
}
export type Place = { readonly offset: number; readonly stride: number }

type TablePart = Pick<Extract<Part, { kind: 'table' }>, 'kind' | 'columns'>
type ImagePart = Extract<Part, { kind: 'image' }>

/** A data set's rows: where each lies in its source, and which of them training sees. */
export type Chosen = { readonly rows: Int32Array; readonly train: Int32Array }

/**
 * Numbers are z-scored by this site's own training rows (mean, unbiased deviation); categories are one-hot without their first
 * level; a gap takes the training mean of each of its features and, where the contract expects gaps, raises a flag. They are
 * laid out row by row, since a batch's rows lie anywhere and each of a row's columns would else be another miss of the cache;
 * but a category as the level it has, since all the levels of a large table would fill a memory. Throws
 * {@link TrainingRefused}, which names columns and never a value.
 */
export function tableFeatures(table: Table, part: TablePart, { rows, train }: Chosen): Features {
  const [width] = featuresOf(part) as readonly [number]
  const slots = part.columns.reduce((sum, { kind, gaps }) => sum + (kind === 'number' && gaps ? 2 : 1), 0)
  const laid = new Float32Array(rows.length * slots)
  const categories = new Map<number, Category>()
  let slot = 0
  const lay = (values: ArrayLike<number>) => {
    for (let row = 0, at = slot; row < rows.length; row++, at += slots) laid[at] = values[row] as number
    slot++
  }
  for (const column of part.columns) {
    const from = columnOf(table, column.name)
    const values = Float64Array.from(rows, (row) => from.values[row] as number)
    if (!column.gaps && values.some(Number.isNaN))
      refuse(`column ${column.name} has gaps, which its contract does not expect`)
    if (column.kind === 'category') {
      categories.set(slot, { shares: sharesOf(column, values, train), gaps: column.gaps })
      lay(placesOf(column, values))
    } else {
      lay(zScores(values, train))
      if (column.gaps) lay(values.map((value) => (Number.isNaN(value) ? 1 : 0)))
    }
  }
  return {
    width,
    inMemory: true,
    read(batch, into, { offset, stride }) {
      if (categories.size === 0) return copyRows({ values: laid, width }, batch, into, { offset, stride })
      for (let index = 0; index < batch.length; index++) {
        const from = (batch[index] as number) * slots
        let at = offset + index * stride
        for (let slot = 0; slot < slots; slot++) {
          const [value, category] = [laid[from + slot] as number, categories.get(slot)]
          if (category) at = spread(value, category, into, at)
          else into[at++] = value
        }
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
    read(batch, into, place) {
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
    read(batch, into, place) {
      const wanted = batch.map((row) => rows[row] as number)
      if (images.inMemory) return shade(images.read(wanted), width, into, place)
      return images.read(wanted).then((pixels) => shade(pixels, width, into, place))
    },
  }
}

/** Not in `read` itself: functions that are made anew for each batch stay with the engine's quick compiler, and take four times as long. */
function shade(pixels: Bytes, width: number, into: Float32Array, { offset, stride }: Place): void {
  for (let from = 0, to = offset; from < pixels.length; from += width, to += stride) {
    for (let pixel = 0; pixel < width; pixel++) into[to + pixel] = SHADES[pixels[from + pixel] as number] as number
  }
}

export function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name)
  if (!column) return refuse(`no column ${name}`)
  if (column.textLine > 0) refuse(`column ${name} holds text, first in line ${column.textLine}`)
  return column
}

export function refuse(detail: string): never {
  throw new TrainingRefused('data-contract', detail)
}

function zScores(values: Float64Array, train: Int32Array): Float64Array {
  const known = Float64Array.from(train, (row) => values[row] as number).filter((value) => !Number.isNaN(value))
  const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(known.length, 1)
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const deviation = Math.sqrt(squares / Math.max(known.length - 1, 1))
  return values.map((value) => (Number.isNaN(value) || deviation === 0 ? 0 : (value - mean) / deviation))
}

type Levels = Extract<TablePart['columns'][number], { kind: 'category' }>
/** @param shares what each level but the first has of the training rows */
type Category = { readonly shares: Float32Array; readonly gaps: boolean }

/** Where among the levels each value is; NaN for a gap. An unknown level is refused: as zeros it would count as the first one. */
function placesOf({ name, levels }: Levels, values: Float64Array): Float64Array {
  return values.map((value) => {
    if (Number.isNaN(value)) return value
    const place = levels.indexOf(value)
    return place < 0 ? refuse(`column ${name} holds a level other than ${levels.join(', ')}`) : place
  })
}

function sharesOf({ levels }: Levels, values: Float64Array, train: Int32Array): Float32Array {
  const known = train.filter((row) => !Number.isNaN(values[row]))
  return Float32Array.from(levels.slice(1), (level) => {
    return known.reduce((sum, row) => sum + (values[row] === level ? 1 : 0), 0) / Math.max(known.length, 1)
  })
}

/** @returns where the next feature goes */
function spread(place: number, { shares, gaps }: Category, into: Float32Array, at: number): number {
  const end = at + shares.length
  if (Number.isNaN(place)) into.set(shares, at)
  else {
    into.fill(0, at, end)
    if (place > 0) into[at + place - 1] = 1
  }
  if (!gaps) return end
  into[end] = Number.isNaN(place) ? 1 : 0
  return end + 1
}
