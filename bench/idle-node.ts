import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { dialFromNode } from '#client/transports/node-line.ts'
import { type LinkTo, SocketLink } from '#client/transports/socket-link.ts'
import { randomBytes } from '#crypto'
import { signerOf } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { idleTrainer } from './idle-trainer.ts'

/** A node that does everything but train: its link, its checks, its reports. It keeps nothing on a disk. */
export function idleNode(
  { url, coordinator, secret }: { readonly url: string; readonly coordinator: NodeId; readonly secret: Bytes },
  report: LinkTo['report'] = () => undefined,
): AsyncDisposable {
  const signer = signerOf(secret)
  const sequence = sequenceFrom(() => systemClock.now())
  const site = siteTerms('open', 'open')
  const stop = new AbortController()
  let ticket: string | undefined
  const link = new SocketLink({ urls: [url], coordinator, dial: dialFromNode, signer, sequence, report })
  const doors = {
    ...{ signer, secret, sequence, coordinator, clock: systemClock, trainer: idleTrainer, transport: link },
    blobs: openRemoteBlobs({ url, ticket: () => ticket }),
    withheld: openRemoteBlobs({ url, ticket: () => ticket, reads: 'withheld' }),
    ...{ site, policy: policyFor('open', 2, site), chance: randomBytes },
    ...{ journal: openMemoryLog(), outbox: openMemoryBlobs() },
    useTicket: (text: string) => {
      ticket = text
    },
  }
  void (async () => {
    for await (const _ of participate(doors, stop.signal));
  })()
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await link[Symbol.asyncDispose]()
    },
  }
}
