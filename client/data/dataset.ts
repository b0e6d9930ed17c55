import type { Bytes } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import type { DataContract } from '#protocol/task.ts'
import { applyImageContract, applyTableContract } from './contract.ts'
import { parseCsv, type Table } from './csv.ts'
import { type Idx, parseIdx, rowsOf } from './idx.ts'
import { imageShare, tableShare } from './share.ts'

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

/** A node's share of the rows of files that lie in memory. Of one key, it is always the same. */
export type PublicShare = {
  readonly kind: 'share'
  readonly key: string
  readonly of:
    | { readonly kind: 'csv'; readonly table: Bytes }
    | { readonly kind: 'idx'; readonly images: Bytes; readonly labels: Bytes }
  /** 32 bytes. */
  readonly seed: Bytes
}

/** What is in memory, and comes with each piece of work. */
export type Brought = SharedRows | PublicShare

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
  source: DataSource | Brought,
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

/** @property share the seed by which a node's rows are chosen, where they are not all its own */
type Raw = (
  | { readonly kind: 'csv'; readonly table: Table }
  | { readonly kind: 'idx'; readonly images: Idx; readonly labels: Idx }
) & { readonly share?: Bytes }

async function readSource(source: DataSource | Brought, read: ReadFile): Promise<Raw> {
  if (source.kind === 'public') throw new TrainingRefused('no-data', 'this node has no data of its own')
  if (source.kind === 'csv') return { kind: 'csv', table: parseCsv(source.path, await read(source.path)) }
  if (source.kind === 'rows') {
    const { images, labels, rows } = source
    return { kind: 'idx', images: rowsOf(images, rows), labels: rowsOf(labels, rows) }
  }
  if (source.kind === 'share') {
    const { of, seed } = source
    if (of.kind === 'csv') return { kind: 'csv', table: parseCsv('the public table', of.table), share: seed }
    const images = parseIdx('the public images', of.images)
    return { kind: 'idx', images, labels: parseIdx('the public labels', of.labels), share: seed }
  }
  const [images, labels] = [await read(source.images), await read(source.labels)]
  return { kind: 'idx', images: parseIdx(source.images, images), labels: parseIdx(source.labels, labels) }
}

function apply(raw: Raw, contract: DataContract, holdoutSeed: Bytes): Dataset {
  const { share } = raw
  if (raw.kind === 'csv' && contract.kind === 'table') {
    const table = share ? tableShare(raw.table, contract.rowsMax, share) : raw.table
    return applyTableContract(table, contract, holdoutSeed)
  }
  if (raw.kind === 'idx' && contract.kind === 'image') {
    const files = share ? imageShare(raw, contract.rowsMax, share) : raw
    return applyImageContract(files, contract, holdoutSeed)
  }
  const have = raw.kind === 'csv' ? 'a table' : 'images'
  throw new TrainingRefused(
    'data-contract',
    `the task is about ${contract.kind === 'table' ? 'a table' : 'images'}, this site has ${have}`,
  )
}
