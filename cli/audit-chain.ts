import { type AuditEntry, auditHash } from '#coordinator/audit.ts'
import { fromHex, toHex } from '#protocol/bytes.ts'
import type { AuditEventView } from '#sdk/views/access.ts'

/** What somebody noted of the log once: the place of its last entry then, and that entry's hash. */
export type AuditHead = { readonly seq: number; readonly hash: string }

/**
 * The audit log as it comes, the newest first: whether each entry is what the one after it names. Hashes are made here, of
 * what is shown; the coordinator's word is not taken for them.
 */
export class AuditChain {
  #head: AuditHead | undefined
  /** What the next one that comes has to be. */
  #due: { readonly seq: number; readonly hash: string | null } | undefined
  /** The oldest entry that names one before. */
  #linkedFrom: number | undefined
  readonly #noted: AuditHead | undefined
  #isNotedSeen = false

  constructor(noted?: AuditHead) {
    this.#noted = noted
  }

  /** @returns what is wrong with it, if anything is */
  follow(event: AuditEventView): string | undefined {
    const { seq, before } = event
    const hash = hashOf(event)
    this.#head ??= { seq, hash }
    const due = this.#due
    if (due && seq !== due.seq) return `entry ${due.seq} is missing: ${seq} comes after ${due.seq + 1}`
    if (hash !== event.hash) return `entry ${seq} is not what its hash says`
    if (due?.hash && due.hash !== hash) return `entry ${seq} is not the one that ${seq + 1} names as the one before it`
    if (due && !due.hash && before !== null) return `entry ${seq + 1} names none before it, and an older one does`
    if (this.#noted?.seq === seq) {
      this.#isNotedSeen = true
      if (this.#noted.hash !== hash) return `entry ${seq} is not the one that was noted`
    }
    if (before !== null) this.#linkedFrom = seq
    this.#due = { seq: seq - 1, hash: before }
    return undefined
  }

  /** What is wrong with the whole, once all have come: its first entries are missing, or its last ones. */
  end(): string | undefined {
    if (this.#due && this.#due.seq !== -1) return `entry ${this.#due.seq} is missing, and all before it`
    if (this.#due?.hash) return 'entry 0 names one before it'
    return this.#noted && !this.#isNotedSeen ? `entry ${this.#noted.seq}, which was noted, is missing` : undefined
  }

  /** Undefined of an empty log. */
  get head(): AuditHead | undefined {
    return this.#head
  }

  /** The first entry that names the one before; those before that one are of earlier versions, and held by it alone. */
  get linkedFrom(): number | null {
    return this.#linkedFrom ?? null
  }
}

function hashOf({ id, time, actor, federation, action, target, status, request_id, before }: AuditEventView): string {
  const entry: AuditEntry = {
    ...{ id, at: Date.parse(time), actor, federation, action, target, status, request: request_id },
    ...(before !== null && { before: fromHex(before) }),
  }
  return toHex(auditHash(entry))
}
