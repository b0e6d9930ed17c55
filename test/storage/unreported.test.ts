import { expect, test } from '@jest/globals'
import { once } from '#protocol/bytes.ts'
import type { RunId } from '#protocol/ids.ts'
import { issueTicket } from '#protocol/ticket.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { contentOf } from '#test/content.ts'
import { loopback } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const MIB = 2 ** 20
const DAY = 86_400_000

test.each([
  ['a block', 100_000],
  ['a file', 2 * MIB + 5],
])(
  'an upload of %s that nobody reports is there until a day after its ticket, and one that is reported stays',
  async (_, size) => {
    const [clock, key, blobs, outbox] = [
      virtualClock(1_000_000),
      contentOf('the coordinator', 32),
      openMemoryBlobs(),
      openMemoryBlobs(),
    ]
    const tickets = openTickets({ key, clock })
    const gateway = openGateway({ blobs, withheld: openMemoryBlobs(), clock, tickets, limits: ROOMY })
    await using server = await loopback((request, response) => void gateway(request, response))
    const expiresAt = clock.now() + 60_000
    const run = 'run_01K00000000000000000000000' as RunId
    const ticketOf = (seat: number) =>
      issueTicket(key, { run, round: 1, seat, sizeBytes: size, publish: 'full', expiresAt })
    const [left, reported] = await Promise.all(
      ['left behind', 'reported'].map(async (name, seat) => {
        const cid = await outbox.put(once(contentOf(name, size)), size)
        const remote = openRemoteBlobs({ url: server.url, ticket: () => ticketOf(seat) })
        await remote.send(outbox, cid)
        // Nothing is sent again that is here, also while it waits.
        await remote.send(outbox, cid)
        return cid
      }),
    )
    if (!left || !reported) throw new Error('both were sent')
    const here = () => Promise.all([left, reported].map((cid) => blobs.has(cid)))
    expect(await blobs.finish(reported)).toBe(true)
    expect(await blobs.sweep(expiresAt + DAY - 1)).toBe(0)
    expect(await here()).toEqual([true, true])
    expect(await blobs.sweep(expiresAt + DAY)).toBeGreaterThanOrEqual(size)
    expect(await here()).toEqual([false, true])
  },
)
