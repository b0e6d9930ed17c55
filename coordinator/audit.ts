import { z } from 'zod'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { bytesField, decode, encode, millisField } from '#protocol/codec.ts'
import type { Bytes } from '#protocol/ids.ts'
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
  /** Hash of the entry before; the first one has none, nor have those of earlier versions. */
  before: bytesField(32).optional(),
})
export type AuditEntry = z.output<typeof entrySchema>
/** With its place, from 0, and the hash by which the next one names it. */
export type AuditRecord = AuditEntry & { readonly position: number; readonly hash: Bytes }
/** The newest first; `next` is where the older ones begin. */
export type AuditPage = { readonly data: readonly AuditRecord[]; readonly next: number | null }

/** Of an entry as the log has it: whoever is told its fields makes the same one. */
export function auditHash(entry: AuditEntry): Bytes {
  return sha256(encode(entrySchema, entry))
}

/**
 * Who changed what, and who was not allowed to: a stream that every process lengthens and nothing shortens, some 300 bytes
 * for each change, read backwards a page at a time and never whole. Each entry names the hash of the one before: whoever has
 * noted the last one's can tell later whether any up to it was changed, left out or put in.
 */
export class Audit {
  readonly #log: EventLog
  #position = 0
  /** Of the entry before that position. */
  #before: Bytes | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Durable when it answers. */
  add(entry: Omit<AuditEntry, 'before'>): Promise<void> {
    const turn = this.#last.then(async () => {
      for (;;) {
        const bytes = encode(entrySchema, this.#before ? { ...entry, before: this.#before } : entry)
        assert(bytes.length <= EVENT_BYTES_MAX, 'what becomes an entry is bounded before')
        if ((await this.#log.append(STREAM, this.#position, [bytes])) === 'conflict') await this.#hear()
        else return this.#follow(bytes)
      }
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Other processes have lengthened it: all that is asked of their entries is the last one's hash. */
  async #hear(): Promise<void> {
    this.#position = Math.max(0, (await this.#log.head(STREAM)) - 1)
    for await (const bytes of this.#log.read(STREAM, this.#position)) this.#follow(bytes)
  }

  #follow(bytes: Bytes): void {
    this.#before = sha256(bytes)
    this.#position++
  }

  /** @param before where the page begins; at the newest where it is undefined */
  async page(before: number | undefined, limit: number, shows: (entry: AuditEntry) => boolean): Promise<AuditPage> {
    const head = await this.#log.head(STREAM)
    const data: AuditRecord[] = []
    let from = Math.min(before ?? head, head)
    const last = Math.max(0, from - LOOKED_THROUGH)
    while (from > last) {
      const start = Math.max(last, from - Math.max(limit, READ_AT_ONCE))
      for (const [index, entry] of [...(await this.#read(start, from)).entries()].toReversed()) {
        if (!shows(entry)) continue
        data.push({ ...entry, position: start + index, hash: auditHash(entry) })
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
