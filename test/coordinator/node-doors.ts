import { Capabilities } from '#coordinator/capabilities.ts'
import { Paces } from '#coordinator/paces.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'

/** What the API has of nodes, over a log. */
export function nodeDoors(doors: { readonly log: EventLog; readonly clock: Clock }) {
  return { capabilities: new Capabilities(doors), paces: new Paces(), operators: new Map() }
}
