import type { Bytes } from '#protocol/ids.ts'
import type { ImageContract, Label } from '#protocol/task.ts'
import type { Table } from './csv.ts'
import { columnOf, refuse } from './features.ts'
import type { Idx } from './idx.ts'
import { shareOf } from './share.ts'

/** What is known of the rows that can be learned from. */
export type Labelled = {
  /** Where each lies in its source. */
  readonly rows: Int32Array
  /** Its class, or the number to predict; or several, see {@link file://./dataset.ts}. */
  readonly labels: Float32Array
}

/** The rows of a table that have a label, as its contract reads it. Throws {@link TrainingRefused}, which names no value. */
export function tableLabels(table: Table, label: Label): Labelled {
  if (label.rule === 'multi-label') return severalLabels(table, label)
  const { values } = columnOf(table, label.column)
  const rows = Int32Array.from(values.keys()).filter((row) => !Number.isNaN(values[row]))
  return { rows, labels: Float32Array.from(rows, (row) => read(values[row] as number, label)) }
}

/** Rows of which any label is known. */
function severalLabels(table: Table, { labels: wanted }: Extract<Label, { readonly rule: 'multi-label' }>): Labelled {
  const columns = wanted.map(({ column }) => {
    const { values } = columnOf(table, column)
    if (values.some((value) => !Number.isNaN(value) && value !== 0 && value !== 1))
      refuse(`column ${column} holds a label other than 0 and 1`)
    return values
  })
  const rows = Int32Array.from({ length: table.rows }, (_, row) => row).filter((row) =>
    columns.some((values) => !Number.isNaN(values[row])),
  )
  const labels = new Float32Array(rows.length * columns.length)
  for (const [of, values] of columns.entries())
    for (const [index, row] of rows.entries()) labels[index * columns.length + of] = values[row] as number
  return { rows, labels }
}

function read(value: number, label: Exclude<Label, { readonly rule: 'multi-label' }>): number {
  switch (label.rule) {
    case 'not-zero':
      return value === 0 ? 0 : 1
    case 'integer':
      if (!Number.isInteger(value) || value < 0 || value >= label.classes)
        refuse(`column ${label.column} holds a label outside the contract's ${label.classes} classes`)
      return value
    case 'number': {
      const scaled = Math.fround((value * 1e6 - label.centreMicro) / label.scaleMicro)
      if (!Number.isFinite(scaled))
        refuse(`column ${label.column} holds a label that its contract's scale does not bear`)
      return scaled
    }
  }
}

/**
 * As many of them at most, ascending, every choice equally likely: a large site takes part in a task that counts no more rows of
 * anybody.
 */
export function sampleOf({ rows, labels }: Labelled, most: number, seed: Bytes): Labelled {
  if (rows.length <= most) return { rows, labels }
  const each = labels.length / rows.length
  const chosen = shareOf(rows.length, most, seed)
  const sampled = new Float32Array(chosen.length * each)
  for (const [index, at] of chosen.entries()) sampled.set(labels.subarray(at * each, (at + 1) * each), index * each)
  return { rows: Int32Array.from(chosen, (at) => rows[at] as number), labels: sampled }
}

/** The labels of images: all of them have one. */
export function imageLabels({ sides, bytes }: Idx, { classes }: ImageContract): Labelled {
  if (sides.length !== 1) refuse('another number of labels than of images')
  if (bytes.some((label) => label >= classes)) refuse(`a label outside the contract's ${classes} classes`)
  return { rows: Int32Array.from(bytes.keys()), labels: Float32Array.from(bytes) }
}
