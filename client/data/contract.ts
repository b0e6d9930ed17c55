import type { Bytes } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { featuresOf, type ImageContract, type TableContract } from '#protocol/task.ts'
import type { Column, Table } from './csv.ts'
import type { Dataset } from './dataset.ts'
import { holdOut } from './holdout.ts'
import type { Idx } from './idx.ts'

/**
 * A table as its contract says. Numbers are z-scored by this site's own training rows (mean, unbiased deviation);
 * categories are one-hot without their first level; a gap takes the training mean of each of its features and, where the
 * contract expects gaps, raises a flag. Throws {@link TrainingRefused}, which names columns and never a value.
 */
export function applyTableContract(table: Table, contract: TableContract, holdoutSeed: Bytes): Dataset {
  const { rows, labels } = labelled(columnOf(table, contract.label.column), contract)
  checkRows(rows.length, contract.rowsMax)
  const { train, heldOut } = holdOut(labels, holdoutSeed)
  checkTrain(train)
  const [width] = featuresOf(contract) as readonly [number]
  const features = new Float32Array(rows.length * width)
  let first = 0
  for (const column of contract.columns) {
    const from = columnOf(table, column.name)
    const values = Float64Array.from(rows, (row) => from.values[row] as number)
    if (!column.gaps && values.some(Number.isNaN))
      refuse(`column ${column.name} has gaps, which its contract does not expect`)
    const encoded =
      column.kind === 'number' ? [zScores(values, train)] : oneHot(column.name, values, column.levels, train)
    if (column.gaps) encoded.push(Float64Array.from(values, (value) => (Number.isNaN(value) ? 1 : 0)))
    for (const feature of encoded) {
      for (const [row, value] of feature.entries()) features[row * width + first] = value
      first++
    }
  }
  return {
    shape: [width],
    labels,
    train,
    heldOut,
    dropped: table.rows - rows.length,
    copyRow: (row, into, offset) => into.set(features.subarray(row * width, (row + 1) * width), offset),
  }
}

const SHADES = Float32Array.from({ length: 256 }, (_, shade) => shade / 255)

/** Images of bytes, scaled to 0…1 as they are read. */
export function applyImageContract(
  files: { readonly images: Idx; readonly labels: Idx },
  contract: ImageContract,
  holdoutSeed: Bytes,
): Dataset {
  const shape = featuresOf(contract)
  const [rows, ...sides] = files.images.sides as readonly [number, ...number[]]
  const found = sides.length === 2 ? [...sides, 1] : sides
  if (String(found) !== String(shape))
    refuse(`images of [${found.join(', ')}], where the contract says [${shape.join(', ')}]`)
  if (files.labels.sides.length !== 1 || files.labels.sides[0] !== rows)
    refuse('another number of labels than of images')
  checkRows(rows, contract.rowsMax)
  const labels = Int32Array.from(files.labels.bytes)
  if (labels.some((label) => label >= contract.classes))
    refuse(`a label outside the contract's ${contract.classes} classes`)
  const { train, heldOut } = holdOut(labels, holdoutSeed)
  checkTrain(train)
  const pixels = files.images.bytes
  const width = shape.reduce((product, side) => product * side, 1)
  return {
    shape,
    labels,
    train,
    heldOut,
    dropped: 0,
    copyRow(row, into, offset) {
      const from = row * width
      for (let pixel = 0; pixel < width; pixel++)
        into[offset + pixel] = SHADES[pixels[from + pixel] as number] as number
    },
  }
}

function refuse(detail: string): never {
  throw new TrainingRefused('data-contract', detail)
}

function checkRows(rows: number, rowsMax: number): void {
  if (rows > rowsMax) refuse(`more rows than the contract's ${rowsMax}`)
}

function checkTrain(train: Int32Array): void {
  if (train.length === 0) throw new TrainingRefused('no-data', 'no labelled row to train on')
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name)
  if (!column) return refuse(`no column ${name}`)
  if (column.textLine > 0) refuse(`column ${name} holds text`)
  return column
}

/** The rows that have a label, and their classes. */
function labelled(
  column: Column,
  { label }: TableContract,
): { readonly rows: Int32Array; readonly labels: Int32Array } {
  const rows = Int32Array.from(column.values.keys()).filter((row) => !Number.isNaN(column.values[row]))
  const labels = new Int32Array(rows.length)
  for (const [index, row] of rows.entries()) {
    const value = column.values[row] as number
    if (label.rule === 'not-zero') labels[index] = value === 0 ? 0 : 1
    else if (Number.isInteger(value) && value >= 0 && value < label.classes) labels[index] = value
    else refuse(`column ${label.column} holds a label outside the contract's ${label.classes} classes`)
  }
  return { rows, labels }
}

function zScores(values: Float64Array, train: Int32Array): Float64Array {
  const known = Float64Array.from(train, (row) => values[row] as number).filter((value) => !Number.isNaN(value))
  const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(known.length, 1)
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const deviation = Math.sqrt(squares / Math.max(known.length - 1, 1))
  return values.map((value) => (Number.isNaN(value) || deviation === 0 ? 0 : (value - mean) / deviation))
}

/** An unknown level is refused: encoded as zeros it would silently count as the first one. */
function oneHot(name: string, values: Float64Array, levels: readonly number[], train: Int32Array): Float64Array[] {
  if (values.some((value) => !Number.isNaN(value) && !levels.includes(value)))
    refuse(`column ${name} holds a level that its contract does not name`)
  const known = train.filter((row) => !Number.isNaN(values[row]))
  return levels.slice(1).map((level) => {
    const share = known.reduce((sum, row) => sum + (values[row] === level ? 1 : 0), 0) / Math.max(known.length, 1)
    return values.map((value) => (Number.isNaN(value) ? share : value === level ? 1 : 0))
  })
}
