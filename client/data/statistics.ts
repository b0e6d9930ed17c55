import type { Question } from '#protocol/question.ts'
import { accept, type Result } from '#protocol/result.ts'
import type { Tallied, TallyRefusal } from '../asking.ts'
import { readCsv, type Table } from './csv.ts'
import type { DataSource, SharedRows } from './dataset.ts'
import { DataFault } from './fault.ts'
import { readIdx, rowsOf } from './idx.ts'
import type { OpenFile } from './source.ts'
import { datasetVersion, tallyTable } from './tally.ts'

/** Reads a source once and keeps it, with its version; answers questions about it. */
export function openStatistics(
  source: DataSource | SharedRows,
  openFile: OpenFile,
): (question: Question) => Promise<Result<Tallied, TallyRefusal>> {
  let read: Promise<{ readonly table: Table; readonly version: string }> | undefined
  const open = async () => {
    const table = await readTable(source, openFile)
    return { table, version: datasetVersion(table) }
  }
  return async (question) => {
    read ??= open()
    const { table, version } = await read.catch((cause: unknown) => {
      read = undefined
      throw cause
    })
    const tallies = tallyTable(table, question)
    return tallies.ok ? accept({ version, tallies: tallies.value }) : tallies
  }
}

/**
 * A site's data as questions see it. Of images only the labels can be asked about: a table of one column, `label`. Throws
 * {@link DataFault}.
 */
export async function readTable(source: DataSource | SharedRows, open: OpenFile): Promise<Table> {
  if (source.kind === 'csv') return readCsv(await open(source.path))
  if (source.kind === 'public') throw new DataFault('this node has no data of its own')
  if (source.kind === 'joint') return readCsv(await open(source.table))
  const isShared = source.kind === 'rows'
  const { sides, bytes } = isShared ? rowsOf(source.labels, source.rows) : await readIdx(await open(source.labels))
  const path = isShared ? 'labels' : source.labels
  if (sides.length !== 1) throw new DataFault(`${path}: labels have one side, not ${sides.length}`)
  const label = { values: Float64Array.from(bytes), textLine: 0 }
  return { path, rows: bytes.length, columns: new Map([['label', label]]) }
}
