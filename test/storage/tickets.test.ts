import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Cid, RunId } from '#protocol/ids.ts'
import { COHORT_MAX, ROUNDS_MAX, TICKET_CHARS_MAX } from '#protocol/limits.ts'
import { checkTicket, issueTicket, type Ticket } from '#protocol/ticket.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { contentOf } from '#test/content.ts'

const key = contentOf('key', 32)
const run = 'run_01K00000000000000000000000' as RunId
const ticketOf = (fields: Partial<Ticket> = {}): Ticket => ({
  run,
  round: 3,
  seat: 7,
  sizeBytes: 1000,
  publish: 'full',
  expiresAt: 5000,
  ...fields,
})

describe('tickets', () => {
  test('what was issued is what is read, until it expires', () => {
    const fields = fc.record({
      round: fc.integer({ min: 1, max: ROUNDS_MAX }),
      seat: fc.nat({ max: COHORT_MAX }),
      sizeBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      publish: fc.constantFrom('full', 'commit-only'),
      expiresAt: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    })
    fc.assert(
      fc.property(fields, (some) => {
        const text = issueTicket(key, ticketOf(some))
        expect(text.length).toBeLessThanOrEqual(TICKET_CHARS_MAX)
        expect(checkTicket(key, text, some.expiresAt - 1)).toEqual({ ok: true, value: ticketOf(some) })
        expect(checkTicket(key, text, some.expiresAt)).toEqual({ ok: false, refusal: 'expired-ticket' })
      }),
    )
  })

  test('one changed, added or missing character, or another key, and it is none', () => {
    const text = issueTicket(key, ticketOf())
    const refused = { ok: false, refusal: 'bad-ticket', detail: expect.any(String) }
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A'
      expect(checkTicket(key, text.slice(0, at) + other + text.slice(at + 1), 0)).toEqual(refused)
      expect(checkTicket(key, text.slice(0, at) + text.slice(at + 1), 0)).toEqual(refused)
    }
    for (const bad of ['', '.', `${text}.`, `.${text}`, `${text} `, `${text}=`, 'x'.repeat(10_000), 'é.é'])
      expect(checkTicket(key, bad, 0)).toEqual(refused)
    expect(checkTicket(contentOf('another key', 32), text, 0)).toEqual(refused)
  })

  test('a seat keeps two blobs whatever order its uploads run and end in', () => {
    const act = fc.record({ blob: fc.nat({ max: 4 }), end: fc.option(fc.boolean()) })
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
        const tickets = openTickets({ key, clock: virtualClock(0) })
        const kept = new Set<number>()
        const running: { blob: number; end(kept: boolean): void }[] = []
        for (const { blob, end } of acts) {
          if (end === null) {
            const admitted = tickets.admit(ticketOf(), cidOf(RAW, contentOf(`${blob}`, 1)))
            if (admitted.ok) running.push({ blob, end: admitted.value.end })
            else expect(kept.size + running.length).toBeGreaterThanOrEqual(2)
          } else {
            const ended = running.shift()
            ended?.end(end)
            if (ended && end) kept.add(ended.blob)
          }
          expect(running.length).toBeLessThanOrEqual(2)
          expect(kept.size).toBeLessThanOrEqual(2)
        }
      }),
    )
  })

  test('memory is bounded: expired seats are forgotten, and while all are live further ones wait', async () => {
    const clock = virtualClock(0)
    const tickets = openTickets({ key, clock })
    const cid = cidOf(RAW, contentOf('vector', 1)) as Cid
    const admit = (seat: number, round: number, expiresAt: number) => {
      const admitted = tickets.admit(ticketOf({ seat, round, expiresAt }), cid)
      if (admitted.ok) admitted.value.end(true)
      return admitted.ok ? 'ok' : admitted.refusal
    }
    let admitted = 0
    for (let index = 0; index < 65_536; index++)
      if (admit(index % 4096, 1 + Math.floor(index / 4096), 1000) === 'ok') admitted++
    expect(admitted).toBe(65_536)
    expect(admit(0, 100, 2000)).toBe('busy-ticket')
    expect(admit(0, 1, 1000)).toBe('ok')
    await clock.advance(1000)
    expect(admit(0, 100, 2000)).toBe('ok')
  })
})
