import { createSha256 } from '#crypto'
import { concat, toHex, utf8 } from '#protocol/bytes.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'

/** All that happened, in its order: two plays of one seed have one digest, or something in them is not drawn from it. */
export class History {
  readonly #hash = createSha256()

  /** @param what of which kind, and about whom @param bytes what exactly */
  note(at: Millis, what: string, bytes: Bytes = new Uint8Array(0)): void {
    // Lengths go ahead, so that no two histories run together.
    const head = utf8(`${at} ${what.length} ${bytes.length} ${what}`)
    this.#hash.update(concat(head, bytes))
  }

  /** Once, at the end. */
  digest(): string {
    return toHex(this.#hash.digest())
  }
}
