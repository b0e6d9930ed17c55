import { z } from 'zod'
import { sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { bytesField, decode, encode, runIdField } from '#protocol/codec.ts'
import { EVENT_BYTES_MAX } from '#protocol/limits.ts'
import type { EventLog } from '#protocol/ports.ts'

const claimSchema = z.strictObject({
  v: z.literal(1),
  /** The one run that requests under this key make, whether it is made already or not. */
  run: runIdField,
  purpose: z.enum(['train', 'ask']),
  /** Digest of the request. */
  body: bytesField(32),
})
export type Claim = z.output<typeof claimSchema>

/**
 * Which run an idempotency key stands for: the first entry of a stream of its own, so that of several processes that are
 * asked at once one decides, for all of them and for ever. A claim comes before its run: whoever finds one without a run
 * makes it, under the claimed name.
 */
export class Claims {
  readonly #log: EventLog

  constructor(log: EventLog) {
    this.#log = log
  }

  async of(key: string): Promise<Claim | undefined> {
    for await (const entry of this.#log.read(streamOf(key))) {
      const claim = decode(claimSchema, entry, EVENT_BYTES_MAX)
      if (!claim.ok) throw new Error(`a claim cannot be read: ${claim.refusal} ${claim.detail ?? ''}`)
      return claim.value
    }
    return undefined
  }

  /** @returns the claim that stands: this one, or whoever's was first */
  async make(key: string, claim: Claim): Promise<Claim> {
    const appended = await this.#log.append(streamOf(key), 0, [encode(claimSchema, claim)])
    const standing = appended === 'appended' ? claim : await this.of(key)
    if (!standing) throw new Error('the log reports a conflict and shows no entry for it')
    return standing
  }
}

function streamOf(key: string): string {
  return `key_${toHex(sha256(utf8(key)))}`
}
