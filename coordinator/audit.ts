import { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import { decode, encode, millisField } from '#protocol/codec.ts'
import { EVENT_BYTES_MAX } from '#protocol/limits.ts'
import type { EventLog } from '#protocol/ports.ts'

const STREAM = 'audit'
/** Entries that one page looks through for those that its reader may see. */
const LOOKED_THROUGH = 5000
/** Entries that are read at a time, however few are shown: each reading is a look at the log. */
const READ_AT_ONCE = 250

const entrySchema = z.strictObject({
  id: z.string().max(64),
  at: millisField,
  /** Of the key, as it was called then. */
  actor: z.strictObject({ id: z.string().max(64), name: z.string().max(100) }),
  /** The actor's only federation, where it has one. */
  federation: z.string().max(64).nullable(),
  /** Method and route, as docs/openapi.json has them. */
  action: z.string().max(200),
  target: z.string().max(300).nullable(),
  status: z.int().min(100).max(599),
  request: z.string().max(64),
})
export type AuditEntry = z.output<typeof entrySchema>
/** The newest first; `next` is where the older ones begin. */
export type AuditPage = { readonly data: readonly AuditEntry[]; readonly next: number | null }

/**
 * Who changed what, and who was not allowed to: a stream that every process lengthens and nothing shortens, some 300 bytes
 * for each change, read backwards a page at a time and never whole.
 */
export class Audit {
  readonly #log: EventLog
  #position = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Durable when it answers. */
  add(entry: AuditEntry): Promise<void> {
    const bytes = encode(entrySchema, entry)
    assert(bytes.length <= EVENT_BYTES_MAX, 'what becomes an entry is bounded before')
    const turn = this.#last.then(async () => {
      while ((await this.#log.append(STREAM, this.#position, [bytes])) === 'conflict')
        this.#position = await this.#log.head(STREAM)
      this.#position++
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** @param before where the page begins; at the newest where it is undefined */
  async page(before: number | undefined, limit: number, shows: (entry: AuditEntry) => boolean): Promise<AuditPage> {
    const head = await this.#log.head(STREAM)
    const data: AuditEntry[] = []
    let from = Math.min(before ?? head, head)
    const last = Math.max(0, from - LOOKED_THROUGH)
    while (from > last) {
      const start = Math.max(last, from - Math.max(limit, READ_AT_ONCE))
      for (const [index, entry] of [...(await this.#read(start, from)).entries()].toReversed()) {
        if (!shows(entry)) continue
        data.push(entry)
        if (data.length === limit) return { data, next: start + index > 0 ? start + index : null }
      }
      from = start
    }
    return { data, next: from > 0 ? from : null }
  }

  async #read(from: number, to: number): Promise<readonly AuditEntry[]> {
    const entries: AuditEntry[] = []
    for await (const bytes of this.#log.read(STREAM, from)) {
      const entry = decode(entrySchema, bytes, EVENT_BYTES_MAX)
      if (!entry.ok) throw new Error(`${STREAM} holds an entry that cannot be read: ${entry.refusal}`)
      entries.push(entry.value)
      if (from + entries.length === to) break
    }
    return entries
  }
}
