import { readCsv, type Table } from './csv.ts'
import { openDisk } from './disk.ts'

/** A table from a file on this machine's disk. Throws {@link DataFault}, and the world's faults. */
export async function readCsvFile(path: string): Promise<Table> {
  return readCsv(await openDisk(path))
}
