import { participate } from '#client/participate.ts'
import { sequenceFrom } from '#client/sequence.ts'
import type { SiteTerms } from '#client/site.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import type { ClientTransport, Clock } from '#protocol/ports.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { secretsOf } from './secrets.ts'
import type { VirtualSite, VirtualSitesOptions } from './virtual-sites.ts'

/**
 * Whole nodes, as many as there are sites: what masked rounds take, since a member of a session has secrets from its first
 * word to its last, and keeps a journal.
 */
export function linkWholeNodes(
  options: VirtualSitesOptions & {
    readonly clock: Clock
    readonly terms: SiteTerms
    readonly withheld: VirtualSitesOptions['blobs']
  },
): void {
  const { sites, broke } = options
  for (const [site, own] of sites.entries()) live(site, own, options).catch(broke)
}

async function live(
  site: number,
  { signer, secret, trainer }: VirtualSite,
  { link, blobs, withheld, coordinator, policy, clock, terms, signal }: Parameters<typeof linkWholeNodes>[0],
): Promise<void> {
  type Heard = { readonly kind: 'linked' } | { readonly kind: 'frame'; readonly frame: Uint8Array }
  const inbox = new Mailbox<Heard>()
  const send = link.link(signer.id, (frame) => inbox.push({ kind: 'frame', frame }))
  const transport: ClientTransport = {
    send: async (frame) => send(frame),
    events: (until) => inbox.items(until),
    async [Symbol.asyncDispose]() {},
  }
  let said = 0
  const doors = {
    ...{ transport, blobs: asRemote(blobs), withheld, signer, secret, coordinator, policy, site: terms, clock },
    ...{ journal: openMemoryLog(), outbox: openMemoryBlobs(), useTicket: () => undefined },
    trainer,
    sequence: sequenceFrom(() => ++said),
    chance: secretsOf(`site ${site} of ${signer.id}`),
  }
  for await (const _ of participate(doors, signal));
}
