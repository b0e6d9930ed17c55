import type { Bytes } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import type { DataContract, Part } from '#protocol/task.ts'
import { applyImageContract, applyJointContract, applyTableContract, applyTextContract } from './contract.ts'
import { readCsv, type Table } from './csv.ts'
import { type Idx, type IdxRows, openIdx, readIdx, rowsIn, rowsOf } from './idx.ts'
import { imageShare, tableShare, tokensShare } from './share.ts'
import { inMemory, type OpenFile, paced, type RandomAccess } from './source.ts'
import { readTokens } from './tokens.ts'

/** Where a site's data lies. Plain data, so that it can be handed to the worker that opens it. */
export type DataSource =
  | FileSource
  /** None of its own: it trains on what a task itself names. */
  | { readonly kind: 'public' }
export type FileSource =
  | { readonly kind: 'csv'; readonly path: string }
  | { readonly kind: 'idx'; readonly images: string; readonly labels: string }
  /** Row i of the table and of the images are one. */
  | { readonly kind: 'joint'; readonly table: string; readonly images: string }

/** Some rows of images that lie in memory, which the sites of a simulation share. */
export type SharedRows = {
  readonly kind: 'rows'
  readonly images: Idx
  readonly labels: Idx
  readonly rows: readonly number[]
}

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
  /**
   * Class of each row, or the number that is to be predicted of it; or several of each, row after row: 1 for what is there, 0 for
   * what is not, NaN for what nobody knows.
   */
  readonly labels: Float32Array
  /** Rows to train on, ascending. */
  readonly train: Int32Array
  /** Rows to test on, in random order. */
  readonly heldOut: Int32Array
  /** Rows left out because they have no label. */
  readonly dropped: number
  /** Rows that have one: where they are more than the contract takes, these are a sample of them. */
  readonly labelled: number
  /** Whether they are there without waiting for a disk. */
  readonly inMemory: boolean
  /** Writes the rows' values, one row after another: at once, where they are in memory. @param into as long as they are */
  read(rows: Int32Array, into: Float32Array): void | Promise<void>
}

/**
 * Opens a source once and keeps it; answers it under any contract, the last one remembered. After a fault of the world it is
 * opened anew: a file that has become another one is read as what it is now.
 *
 * @param checkpoint asked before each piece of a table, of which a large one takes as long to read as many batches to train
 */
export function openDataset(
  source: DataSource | Brought,
  open: OpenFile,
  checkpoint: () => void = () => undefined,
): (contract: DataContract, holdoutSeed: Bytes) => Promise<Dataset> {
  let opened: Promise<Opened> | undefined
  let last: { readonly key: string; readonly dataset: Dataset } | undefined
  const forget = (cause: unknown): never => {
    if (!(cause instanceof TrainingRefused)) opened = last = undefined
    throw cause
  }
  return async (contract, holdoutSeed) => {
    const key = JSON.stringify([contract, Array.from(holdoutSeed)])
    if (last?.key === key) return last.dataset
    opened ??= openSource(source, open, (table) => paced(table, checkpoint))
    const applied = await opened.then((found) => apply(found, contract, holdoutSeed)).catch(forget)
    const dataset: Dataset = { ...applied, read: (rows, into) => applied.read(rows, into)?.catch(forget) }
    last = { key, dataset }
    return dataset
  }
}

/**
 * A table's texts are read when a contract asks for them: few do, and they are most of its bytes. `share` is the seed by which a
 * node's rows are chosen, where they are not all its own.
 */
type Opened =
  | { readonly kind: 'csv'; readonly file: RandomAccess; readonly table: Table; readonly share?: Bytes }
  | { readonly kind: 'idx'; readonly images: IdxRows; readonly labels: Idx }
  | { readonly kind: 'joint'; readonly file: RandomAccess; readonly table: Table; readonly images: IdxRows }
  | { readonly kind: 'share'; readonly images: Idx; readonly labels: Idx; readonly share: Bytes }

async function openSource(
  source: DataSource | Brought,
  open: OpenFile,
  pace: (table: RandomAccess) => RandomAccess,
): Promise<Opened> {
  switch (source.kind) {
    case 'rows': {
      const { images, labels, rows } = source
      return { kind: 'idx', images: rowsIn(rowsOf(images, rows)), labels: rowsOf(labels, rows) }
    }
    case 'idx':
      return {
        kind: 'idx',
        images: await openIdx(await open(source.images)),
        labels: await readIdx(await open(source.labels)),
      }
    case 'csv': {
      const file = pace(await open(source.path))
      return { kind: 'csv', file, table: await readCsv(file) }
    }
    case 'joint': {
      const file = pace(await open(source.table))
      return { kind: 'joint', file, table: await readCsv(file), images: await openIdx(await open(source.images)) }
    }
    case 'share': {
      const { of, seed: share } = source
      if (of.kind === 'csv') {
        const file = pace(inMemory('the public table', of.table))
        return { kind: 'csv', file, table: await readCsv(file), share }
      }
      const [images, labels] = [inMemory('the public images', of.images), inMemory('the public labels', of.labels)]
      return { kind: 'share', images: await readIdx(images), labels: await readIdx(labels), share }
    }
    case 'public':
      throw new TrainingRefused('no-data', 'this node has no data of its own')
  }
}

async function apply(opened: Opened, contract: DataContract, holdoutSeed: Bytes): Promise<Dataset> {
  if (contract.kind === 'image') {
    if (opened.kind === 'idx') return applyImageContract(opened, contract, holdoutSeed)
    if (opened.kind === 'share') {
      const { images, labels } = imageShare(opened, contract.rowsMax, opened.share)
      return applyImageContract({ images: rowsIn(images), labels }, contract, holdoutSeed)
    }
  } else if (contract.kind === 'joint') {
    if (opened.kind === 'joint') {
      const texts = new Map<Part, Uint16Array>()
      for (const part of contract.parts) if (part.kind === 'text') texts.set(part, await readTokens(opened.file, part))
      const tokensOf = (part: Part) => texts.get(part) as Uint16Array
      return applyJointContract(opened.table, opened.images, tokensOf, contract, holdoutSeed)
    }
  } else if (opened.kind === 'csv' || opened.kind === 'joint') {
    const { table: all, file } = opened
    const share = opened.kind === 'csv' ? opened.share : undefined
    const { rowsMax } = contract
    const table = share ? tableShare(all, rowsMax, share) : all
    if (contract.kind === 'table') return applyTableContract(table, contract, holdoutSeed)
    const read = await readTokens(file, contract)
    const { length } = contract
    const tokens = share ? tokensShare(read, { rows: all.rows, length }, rowsMax, share) : read
    return applyTextContract(table, tokens, contract, holdoutSeed)
  }
  throw new TrainingRefused(
    'data-contract',
    `the task is about ${NOUNS[contract.kind]}, this site has ${NOUNS[opened.kind]}`,
  )
}

const NOUNS = {
  csv: 'a table',
  table: 'a table',
  text: "a table's text",
  idx: 'images',
  share: 'images',
  image: 'images',
  joint: 'a table with images',
} as const
