import type { Bytes } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import type { DataContract } from '#protocol/task.ts'
import { applyImageContract, applyTableContract } from './contract.ts'
import { parseCsv, type Table } from './csv.ts'
import { type Idx, parseIdx, rowsOf } from './idx.ts'

/** Where a site's data lies. Plain data, so that it can be handed to the worker that opens it. */
export type DataSource =
  | FileSource
  /** None of its own: it trains on what a task itself names. */
  | { readonly kind: 'public' }
export type FileSource =
  | { readonly kind: 'csv'; readonly path: string }
  | { readonly kind: 'idx'; readonly images: string; readonly labels: string }

/** Some rows of images that lie in memory, which the sites of a simulation share. */
export type SharedRows = {
  readonly kind: 'rows'
  readonly images: Idx
  readonly labels: Idx
  readonly rows: readonly number[]
}

/** A file of the site by its name, all of it; its size is checked before anything is allocated. Throws the world's faults. */
export type ReadFile = (path: string) => Promise<Bytes>
const NONE: Idx = { sides: [0], bytes: new Uint8Array(0) }
/** For a thread that trains on what comes with each call. */
export const NO_DATA: SharedRows = { kind: 'rows', images: NONE, labels: NONE, rows: [] }

/** Rows as a model takes them, and which of them it is tested on. */
export type Dataset = {
  /** Of one row. */
  readonly shape: readonly number[]
  /** Class of each row. */
  readonly labels: Int32Array
  /** Rows to train on, ascending. */
  readonly train: Int32Array
  /** Rows to test on, in random order. */
  readonly heldOut: Int32Array
  /** Rows left out because they have no label. */
  readonly dropped: number
  copyRow(row: number, into: Float32Array, offset: number): void
}

/** Reads a source once and keeps it; answers it under any contract, the last one remembered. */
export function openDataset(
  source: DataSource | SharedRows,
  read: ReadFile,
): (contract: DataContract, holdoutSeed: Bytes) => Promise<Dataset> {
  let raw: Promise<Raw> | undefined
  let last: { readonly key: string; readonly dataset: Dataset } | undefined
  return async (contract, holdoutSeed) => {
    const key = JSON.stringify([contract, Array.from(holdoutSeed)])
    if (last?.key === key) return last.dataset
    raw ??= readSource(source, read)
    const dataset = apply(
      await raw.catch((cause: unknown) => {
        raw = undefined
        throw cause
      }),
      contract,
      holdoutSeed,
    )
    last = { key, dataset }
    return dataset
  }
}

type Raw =
  | { readonly kind: 'csv'; readonly table: Table }
  | { readonly kind: 'idx'; readonly images: Idx; readonly labels: Idx }

async function readSource(source: DataSource | SharedRows, read: ReadFile): Promise<Raw> {
  if (source.kind === 'public') throw new TrainingRefused('no-data', 'this node has no data of its own')
  if (source.kind === 'csv') return { kind: 'csv', table: parseCsv(source.path, await read(source.path)) }
  if (source.kind === 'rows') {
    const { images, labels, rows } = source
    return { kind: 'idx', images: rowsOf(images, rows), labels: rowsOf(labels, rows) }
  }
  const [images, labels] = [await read(source.images), await read(source.labels)]
  return { kind: 'idx', images: parseIdx(source.images, images), labels: parseIdx(source.labels, labels) }
}

function apply(raw: Raw, contract: DataContract, holdoutSeed: Bytes): Dataset {
  if (raw.kind === 'csv' && contract.kind === 'table') return applyTableContract(raw.table, contract, holdoutSeed)
  if (raw.kind === 'idx' && contract.kind === 'image') return applyImageContract(raw, contract, holdoutSeed)
  const have = raw.kind === 'csv' ? 'a table' : 'images'
  throw new TrainingRefused(
    'data-contract',
    `the task is about ${contract.kind === 'table' ? 'a table' : 'images'}, this site has ${have}`,
  )
}
