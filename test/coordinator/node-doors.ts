import { Capabilities } from '#coordinator/capabilities.ts'
import { Datasets } from '#coordinator/datasets.ts'
import { Drains } from '#coordinator/drains.ts'
import { Eligibility } from '#coordinator/eligibility.ts'
import { Federations } from '#coordinator/federations.ts'
import { Inquiries } from '#coordinator/inquiries.ts'
import { Notifier } from '#coordinator/notifier.ts'
import { Paces } from '#coordinator/paces.ts'
import { Webhooks } from '#coordinator/webhooks.ts'
import { randomBytes, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'

/** What the API has of nodes, over a log, and of endpoints, to which nothing is sent. */
export function nodeDoors(doors: { readonly log: EventLog; readonly clock: Clock }) {
  const signer = signerOf(sha256(utf8('coordinator')))
  const transport = { linked: () => [], send: async () => undefined }
  const inquiries = new Inquiries({ transport, signer, clock: doors.clock, chance: randomBytes })
  const webhooks = new Webhooks({ ...doors, newEndpointId: () => 'we_0' })
  const nowhere = async () => {
    throw new Error('nothing is sent here')
  }
  const secretOf = () => 'whsec_'
  const notifier = new Notifier({
    ...{ webhooks, clock: doors.clock, secretOf, post: nowhere, payloadOf: nowhere, count: () => undefined },
    runner: { runs: () => [], position: () => 0, follow: async function* () {} },
  })
  const federations = new Federations({ ...doors, secret: new Uint8Array(32) })
  const [drains, capabilities] = [new Drains(doors), new Capabilities(doors)]
  return {
    ...{ capabilities, paces: new Paces(), datasets: new Datasets(doors), federations },
    ...{
      eligibility: new Eligibility({ admits: 'open', federations, drains, capabilities }),
      drains,
      inquiries,
      signer,
    },
    webhooks: { webhooks, notifier, secretOf, mistakeIn: () => undefined },
  }
}

/** Where anybody may be in any round. */
export const EVERYBODY = ((doors) =>
  new Eligibility({
    admits: 'open',
    federations: new Federations({ ...doors, secret: new Uint8Array(32) }),
    drains: new Drains(doors),
    capabilities: new Capabilities(doors),
  }))({ log: openMemoryLog(), clock: virtualClock(0) })
