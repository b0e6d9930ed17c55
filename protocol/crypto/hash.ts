import type { Bytes } from '../ids.ts'

/** A hash in progress: for streams. */
export interface Hash {
  update(bytes: Bytes): void
  digest(): Bytes
}
