import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { checkTicket, type Ticket, type TicketRefusal } from '#protocol/ticket.ts'

/** An upload that may go on. Say how it ended, exactly once. */
export type Admitted = { end(kept: boolean): void }

export type Tickets = {
  check(text: string): Result<Ticket, TicketRefusal>
  /** Takes one of the seat's few places. `spent-ticket`: it has begun its blobs; `busy-ticket`: its uploads are running. */
  admit(ticket: Ticket, cid: Cid): Result<Admitted, 'spent-ticket' | 'busy-ticket'>
}

/**
 * What a seat has uploaded, so that a ticket for one vector does not fill the disk: two blobs a seat (one may have been
 * made before a restart of the node and be another), be they whole or on their way in parts, and two requests for them at a
 * time (one may hang on a dead connection).
 * Remembered until the ticket expires, in this process: a restart of the gateway forgets, and allows two more.
 *
 * @param key the coordinator's ticket key, 32 bytes
 */
export function openTickets({ key, clock }: { readonly key: Bytes; readonly clock: Clock }): Tickets {
  const seats = new Map<string, SeatUploads>()

  function seatOf(ticket: Ticket): SeatUploads | undefined {
    // By seat, not by text: another ticket for the same seat allows nothing more.
    const name = seatNameOf(ticket)
    const known = seats.get(name)
    if (known) {
      known.expiresAt = Math.max(known.expiresAt, ticket.expiresAt)
      return known
    }
    if (seats.size >= SEATS_MAX) {
      const now = clock.now()
      for (const [old, { expiresAt, running }] of seats) if (expiresAt <= now && running === 0) seats.delete(old)
      if (seats.size >= SEATS_MAX) return undefined
    }
    const fresh = { kept: new Set<Cid>(), running: 0, expiresAt: ticket.expiresAt }
    seats.set(name, fresh)
    return fresh
  }

  return {
    check: (text) => checkTicket(key, text, clock.now()),
    admit(ticket, cid) {
      const seat = seatOf(ticket)
      if (!seat || seat.running >= UPLOADS_MAX) return refuse('busy-ticket')
      // What is still running counts as kept: two uploads that end together must not leave a third blob.
      if (!seat.kept.has(cid) && seat.kept.size + seat.running >= BLOBS_MAX) {
        return refuse(seat.running > 0 && seat.kept.size < BLOBS_MAX ? 'busy-ticket' : 'spent-ticket')
      }
      seat.running++
      return accept({
        end(kept) {
          seat.running--
          if (kept) seat.kept.add(cid)
        },
      })
    },
  }
}

/** The ticket that a request shows in its Authorization header, unread. */
export function ticketIn(authorization: string | undefined): string | undefined {
  return /^Bearer ([\w.-]+)$/i.exec(authorization ?? '')?.[1]
}

export function seatNameOf({ run, round, seat }: Ticket): string {
  return `${run} ${round} ${seat}`
}

type SeatUploads = { readonly kept: Set<Cid>; running: number; expiresAt: Millis }

const BLOBS_MAX = 2
const UPLOADS_MAX = 2
/** Sixteen rounds of the largest cohort; about 20 MiB. When all of them are live, further seats wait. */
const SEATS_MAX = 65_536
