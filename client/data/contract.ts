import { assert } from '#protocol/assert.ts'
import { featuresOf } from '#protocol/features.ts'
import type { Bytes } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { sampleSeed } from '#protocol/seeds.ts'
import {
  type DataContract,
  type ImageContract,
  type JointContract,
  type Part,
  positivesOf,
  type TableContract,
  type TextContract,
} from '#protocol/task.ts'
import type { Table } from './csv.ts'
import type { Dataset } from './dataset.ts'
import { type Chosen, type Features, imageFeatures, refuse, tableFeatures, tokenFeatures } from './features.ts'
import { holdOut, strataOf, strataOfLabels } from './holdout.ts'
import type { Idx, IdxRows } from './idx.ts'
import { imageLabels, type Labelled, sampleOf, tableLabels } from './labels.ts'

/** A table as its contract says. Throws {@link TrainingRefused}, which names columns and never a value. */
export function applyTableContract(table: Table, contract: TableContract, holdoutSeed: Bytes): Dataset {
  return datasetOf(table.rows, tableLabels(table, contract.label), contract, holdoutSeed, (chosen) => [
    tableFeatures(table, contract, chosen),
  ])
}

/** Images of bytes, and their labels. */
export function applyImageContract(
  files: { readonly images: IdxRows; readonly labels: Idx },
  contract: ImageContract,
  holdoutSeed: Bytes,
): Dataset {
  const { images, labels } = files
  const [rows] = images.sides as readonly [number]
  if (labels.sides.length !== 1 || labels.sides[0] !== rows) refuse('another number of labels than of images')
  return datasetOf(rows, imageLabels(labels, contract), contract, holdoutSeed, (chosen) => [
    imageFeatures(images, contract, chosen),
  ])
}

/** A column's text, and a label beside it. @param tokens as the contract has them, of all rows */
export function applyTextContract(
  table: Table,
  tokens: Uint16Array,
  contract: TextContract,
  holdoutSeed: Bytes,
): Dataset {
  return datasetOf(table.rows, tableLabels(table, contract.label), contract, holdoutSeed, (chosen) => [
    tokenFeatures(tokens, contract.length, chosen),
  ])
}

/** A table and images of the same rows. @param tokensOf a text part, of all rows of the table */
export function applyJointContract(
  table: Table,
  images: IdxRows,
  tokensOf: (part: Extract<Part, { kind: 'text' }>) => Uint16Array,
  contract: JointContract,
  holdoutSeed: Bytes,
): Dataset {
  if (images.sides[0] !== table.rows) refuse('another number of images than of rows of the table')
  const featuresOfPart = (part: Part, chosen: Chosen): Features => {
    switch (part.kind) {
      case 'table':
        return tableFeatures(table, part, chosen)
      case 'image':
        return imageFeatures(images, part, chosen)
      case 'text':
        return tokenFeatures(tokensOf(part), part.length, chosen)
    }
  }
  return datasetOf(table.rows, tableLabels(table, contract.label), contract, holdoutSeed, (chosen) =>
    contract.parts.map((part) => featuresOfPart(part, chosen)),
  )
}

/** @param rows that the source has, labelled or not */
function datasetOf(
  rows: number,
  all: Labelled,
  contract: DataContract,
  holdoutSeed: Bytes,
  featuresAt: (chosen: Chosen) => readonly Features[],
): Dataset {
  const known = all.rows.length
  const labelled = sampleOf(all, contract.rowsMax, sampleSeed(holdoutSeed))
  const { labels } = labelled
  const { train, heldOut } = holdOut(strataFor(contract, labels), holdoutSeed)
  if (train.length === 0) throw new TrainingRefused('no-data', 'no labelled row to train on')
  const features = featuresAt({ rows: labelled.rows, train })
  const stride = features.reduce((sum, { width }) => sum + width, 0)
  return {
    shape: featuresOf(contract),
    labels,
    train,
    heldOut,
    dropped: rows - known,
    labelled: known,
    inMemory: features.every((each) => each.inMemory),
    read(batch, into) {
      assert(into.length === batch.length * stride, 'rows are read into as much as they take')
      const waited: Promise<void>[] = []
      let offset = 0
      for (const each of features) {
        const reading = each.read(batch, into, { offset, stride })
        if (reading) waited.push(reading)
        offset += each.width
      }
      return waited.length > 0 ? Promise.all(waited).then(() => undefined) : undefined
    },
  }
}

/** By which rows are held out: a fifth of each. */
function strataFor(contract: DataContract, labels: Float32Array): ArrayLike<number> {
  const several = positivesOf(contract)
  if (several) return strataOfLabels(labels, several.length)
  return contract.kind !== 'image' && contract.label.rule === 'number' ? strataOf(labels) : labels
}
