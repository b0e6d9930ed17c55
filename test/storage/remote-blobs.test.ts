import type { RunId } from '#protocol/ids.ts'
import { issueTicket } from '#protocol/ticket.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { contentOf } from '#test/content.ts'
import { loopback } from '#test/loopback.ts'

const key = contentOf('ticket key', 32)

blobStoreConformance(
  'remote, over a gateway on loopback',
  async () => {
    const tickets = openTickets({ key, clock: systemClock })
    const gateway = openGateway({
      blobs: openMemoryBlobs(),
      tickets,
      clock: systemClock,
      limits: { idleMillis: 10_000, uploadsMax: 8 },
    })
    const server = await loopback((request, response) => void gateway(request, response))
    let seat = 0
    const ticket = () =>
      issueTicket(key, {
        run: 'run_01K00000000000000000000000' as RunId,
        round: 1,
        seat: seat++,
        sizeBytes: 64 * 2 ** 20,
        expiresAt: Date.now() + 60_000,
      })
    return {
      ...openRemoteBlobs({ url: server.url, ticket }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
  { blocks: false, deletes: false },
)
