import { Capabilities } from '#coordinator/capabilities.ts'
import { Notifier } from '#coordinator/notifier.ts'
import { Paces } from '#coordinator/paces.ts'
import { Webhooks } from '#coordinator/webhooks.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'

/** What the API has of nodes, over a log, and of endpoints, to which nothing is sent. */
export function nodeDoors(doors: { readonly log: EventLog; readonly clock: Clock }) {
  const webhooks = new Webhooks({ ...doors, newEndpointId: () => 'we_0' })
  const nowhere = async () => {
    throw new Error('nothing is sent here')
  }
  const secretOf = () => 'whsec_'
  const notifier = new Notifier({
    ...{ webhooks, clock: doors.clock, secretOf, post: nowhere, payloadOf: nowhere, count: () => undefined },
    runner: { runs: () => [], position: () => 0, follow: async function* () {} },
  })
  return {
    ...{ capabilities: new Capabilities(doors), paces: new Paces(), operators: new Map() },
    webhooks: { webhooks, notifier, secretOf, mistakeIn: () => undefined },
  }
}
