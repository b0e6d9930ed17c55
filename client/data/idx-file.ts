import { readBounded } from './disk.ts'
import { type Idx, parseIdx } from './idx.ts'

/** Elements from a file. Throws {@link DataFault}, and the world's faults. */
export async function readIdx(path: string): Promise<Idx> {
  return parseIdx(path, await readBounded(path))
}
