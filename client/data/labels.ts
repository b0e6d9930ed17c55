import type { ImageContract, Label } from '#protocol/task.ts'
import type { Table } from './csv.ts'
import { columnOf, refuse } from './features.ts'
import type { Idx } from './idx.ts'

/** What is known of the rows that can be learned from. */
export type Labelled = {
  /** Where each lies in its source. */
  readonly rows: Int32Array
  /** Its class, or the number to predict. */
  readonly labels: Float32Array
}

/** The rows of a table that have a label, as its contract reads it. Throws {@link TrainingRefused}, which names no value. */
export function tableLabels(table: Table, label: Label): Labelled {
  const { values } = columnOf(table, label.column)
  const rows = Int32Array.from(values.keys()).filter((row) => !Number.isNaN(values[row]))
  return { rows, labels: Float32Array.from(rows, (row) => read(values[row] as number, label)) }
}

function read(value: number, label: Label): number {
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

/** The labels of images: all of them have one. */
export function imageLabels({ sides, bytes }: Idx, { classes }: ImageContract): Labelled {
  if (sides.length !== 1) refuse('another number of labels than of images')
  if (bytes.some((label) => label >= classes)) refuse(`a label outside the contract's ${classes} classes`)
  return { rows: Int32Array.from(bytes.keys()), labels: Float32Array.from(bytes) }
}
