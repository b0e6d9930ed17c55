import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { SocketLink } from '#client/transports/socketio.ts'
import { randomBytes, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { type Live, signer } from './live.ts'

/** A node over the wire, until the run's evaluate round is over for it. @returns what it told */
export async function takePart({ coordinator }: Live, site: number): Promise<readonly Progress[]> {
  await using doors = new AsyncDisposableStack()
  const name = `member ${site}`
  const self = signer(name)
  const sequence = sequenceFrom(() => systemClock.now())
  const terms = siteTerms('open', 'open')
  const remote = { url: coordinator.url, ticket: () => shown }
  let shown: string | undefined
  const link = { urls: [coordinator.url], coordinator: coordinator.id, signer: self, sequence, report: () => undefined }
  const node = {
    ...{ transport: doors.use(new SocketLink(link)), coordinator: coordinator.id, signer: self, sequence },
    ...{ blobs: openRemoteBlobs(remote), withheld: openRemoteBlobs({ ...remote, reads: 'withheld' }) },
    ...{ secret: sha256(utf8(name)), trainer: toyTrainer(site), clock: systemClock, chance: randomBytes },
    ...{ site: terms, policy: policyFor('open', 2, terms), journal: openMemoryLog(), outbox: openMemoryBlobs() },
    useTicket: (ticket: string) => {
      shown = ticket
    },
  }
  const told: Progress[] = []
  const stop = new AbortController()
  doors.defer(() => stop.abort())
  for await (const made of participate(node, stop.signal)) {
    told.push(made)
    if (made.kind === 'ended' && made.round === 2) break
  }
  return told
}
