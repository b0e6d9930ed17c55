import { applyImageContract, applyTableContract, applyTextContract } from '#client/data/contract.ts'
import type { Column } from '#client/data/csv.ts'
import type { Dataset } from '#client/data/dataset.ts'
import { rowsIn } from '#client/data/idx.ts'
import type { TableContract } from '#protocol/task.ts'
import { noise, tableOf } from '#test/client/trainers/tasks.ts'
import { CLASSES, type RowKind, TOKENS } from './train-models.ts'

/** Noise as a site holds it: all of it is trained on, and one row tested. */
export function noiseRows(kind: RowKind, shape: readonly number[], rows: number): Dataset {
  const next = noise(3)
  const seed = new Uint8Array(32)
  const labels = { path: '', rows, columns: new Map([['y', numbersOf(rows, (row) => row % CLASSES)]]) }
  const below = (count: number) => () => Math.floor(((next() + 1) / 2) * count)
  const sides = [rows, ...shape]
  const size = sides.reduce((product, side) => product * side, 1)
  const rule = { label: { column: 'y', rule: 'integer', classes: CLASSES }, rowsMax: rows } as const
  const dataset = (): Dataset => {
    switch (kind) {
      case 'numbers': {
        const contract = { ...tableOf(size / rows, CLASSES), ...rule, kind: 'table' } as TableContract
        const columns = contract.columns.map(({ name }) => [name, numbersOf(rows, next)] as const)
        return applyTableContract({ ...labels, columns: new Map([...labels.columns, ...columns]) }, contract, seed)
      }
      case 'images': {
        const [height = 1, width = 1, channels = 1] = shape
        const images = rowsIn({ sides, bytes: Uint8Array.from({ length: size }, below(256)) })
        const contract = { kind: 'image', classes: CLASSES, rowsMax: rows, height, width, channels } as const
        const classes = { sides: [rows], bytes: Uint8Array.from({ length: rows }, (_, row) => row % CLASSES) }
        return applyImageContract({ images, labels: classes }, contract, seed)
      }
      case 'tokens': {
        const contract = {
          ...rule,
          kind: 'text',
          column: 'text',
          tokens: { kind: 'bytes' },
          length: size / rows,
        } as const
        return applyTextContract(labels, Uint16Array.from({ length: size }, below(TOKENS)), contract, seed)
      }
    }
  }
  return { ...dataset(), train: Int32Array.from({ length: rows }, (_, row) => row), heldOut: Int32Array.of(0) }
}

function numbersOf(rows: number, each: (row: number) => number): Column {
  return { values: Float64Array.from({ length: rows }, (_, row) => each(row)), textLine: 0 }
}

/** All its rows, and their labels one-hot. */
export async function arraysOf(dataset: Dataset): Promise<readonly [x: Float32Array, y: Float32Array]> {
  const { labels, train, shape } = dataset
  const x = new Float32Array(labels.length * shape.reduce((product, side) => product * side, 1))
  await dataset.read(train, x)
  const y = new Float32Array(labels.length * CLASSES)
  for (const [row, label] of labels.entries()) y[row * CLASSES + label] = 1
  return [x, y]
}
