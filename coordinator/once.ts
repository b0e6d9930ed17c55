import { z } from 'zod'
import { equalBytes, toHex } from '#protocol/bytes.ts'
import { bytesField } from '#protocol/codec.ts'

/**
 * A request that is to have its effect once: digests of its Idempotency-Key, with who sent it and where to, and of its body.
 * It is a field of the entry that the request caused, so that the two are in the log together or not at all: no process can
 * die between them, and of two requests that come at once to two processes the stream takes one and shows it to the other.
 * What was refused appended nothing, so it claims no key.
 */
export const onceField = z.strictObject({ key: bytesField(32), body: bytesField(32) })
export type Once = z.output<typeof onceField>

/** What the keys of one stream's entries stand for. As many as entries, so bounded where they are. */
export class Onces {
  readonly #made = new Map<string, { readonly id: string; readonly body: Once['body'] }>()

  note(once: Once | null, id: string): void {
    if (once) this.#made.set(toHex(once.key), { id, body: once.body })
  }

  /** What this very request has made before; `reused` where its key stands for another one. */
  madeBy(once: Once | null): { readonly id: string } | 'reused' | undefined {
    const made = once && this.#made.get(toHex(once.key))
    if (!once || !made) return undefined
    return equalBytes(made.body, once.body) ? made : 'reused'
  }
}
