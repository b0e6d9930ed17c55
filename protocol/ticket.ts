import { base64url } from 'multiformats/bases/base64'
import { z } from 'zod'
import { hmacSha256 } from '#crypto'
import { concat, equalSecret, utf8 } from './bytes.ts'
import { count, decode, encode, millisField, runIdField } from './codec.ts'
import type { Bytes, Millis } from './ids.ts'
import { COHORT_MAX, ROUNDS_MAX, TICKET_CHARS_MAX } from './limits.ts'
import { publishField } from './plan.ts'
import { accept, type Result, refuse } from './result.ts'

/** What lets one seat upload its vector: at most `sizeBytes`, until `expiresAt`. */
const ticketSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  seat: count(COHORT_MAX),
  sizeBytes: count(Number.MAX_SAFE_INTEGER, 1),
  /** Whether anyone may read the vector afterwards, or the aggregator and members alone: this lets one read, too. */
  publish: publishField,
  expiresAt: millisField,
})

export type Ticket = Readonly<Omit<z.output<typeof ticketSchema>, 'v'>>
export type TicketRefusal = 'bad-ticket' | 'expired-ticket'

const DOMAIN = utf8('consilium/1 ticket\0')

/**
 * A bearer's word: base64url(DAG-CBOR fields) "." base64url(HMAC-SHA256(key, "consilium/1 ticket" 00 ‖ those bytes)).
 *
 * @param key 32 bytes that only the coordinator's processes know
 */
export function issueTicket(key: Bytes, ticket: Ticket): string {
  const body = encode(ticketSchema, { v: 1, ...ticket })
  return `${toText(body)}.${toText(macOf(key, body))}`
}

/** The MAC is checked before anything in the ticket is read. */
export function checkTicket(key: Bytes, text: string, now: Millis): Result<Ticket, TicketRefusal> {
  // Exactly these letters: the library would read padded texts too, and a ticket has one text.
  if (text.length > TICKET_CHARS_MAX || !/^[\w-]+\.[\w-]{43}$/.test(text)) return refuse('bad-ticket', 'not a ticket')
  const [body, mac] = text.split('.').map(fromText)
  if (!body || !mac) return refuse('bad-ticket', 'not base64url')
  if (!equalSecret(mac, macOf(key, body))) return refuse('bad-ticket', 'another key signed it')
  const read = decode(ticketSchema, body, TICKET_CHARS_MAX)
  if (!read.ok) return refuse('bad-ticket', read.refusal)
  const { v: _version, ...ticket } = read.value
  return now < ticket.expiresAt ? accept(ticket) : refuse('expired-ticket')
}

function macOf(key: Bytes, body: Bytes): Bytes {
  return hmacSha256(key, concat(DOMAIN, body))
}

/** The library's texts start with the multibase letter `u`; a ticket's parts go without. */
function toText(bytes: Bytes): string {
  return base64url.encode(bytes).slice(1)
}

function fromText(text: string): Bytes | undefined {
  try {
    return base64url.decode(`u${text}`)
  } catch {
    return undefined
  }
}
