import { parseCsv, type Table } from './csv.ts'
import { readBounded } from './disk.ts'

/** A table from a file. Throws {@link DataFault}, and the world's faults. */
export async function readCsv(path: string): Promise<Table> {
  return parseCsv(path, await readBounded(path))
}
