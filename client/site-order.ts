import type { Cid } from '#protocol/ids.ts'
import { rankPlaces } from '#protocol/rendezvous.ts'

/** Whom of its site a node asks for a block, and what it fetches for the others. */
export type SiteOrder = {
  /** The best first; whoever comes after the node itself is not asked. Then it goes to the coordinator. */
  above(cid: Cid): readonly string[]
  /** Whether it comes to this node to fetch it, also where the first is away. */
  isOurs(cid: Cid): boolean
}

/**
 * Each block belongs to one node of the site, whom all others ask: so a site takes about one copy of it from outside. Where
 * the first is away they ask the second, and beyond that each asks the coordinator.
 *
 * @param own where the others find this node; undefined where it shows them nothing
 * @param others may name this node as well, so that all nodes of a site can be given the same list
 */
export function siteOrder(own: string | undefined, others: readonly string[]): SiteOrder {
  const places = () => [...new Set([...others, ...(own === undefined ? [] : [own])])]
  const ranked = (cid: Cid) => rankPlaces(cid, places()).slice(0, ASKED_MAX)
  return {
    above(cid) {
      const first = ranked(cid)
      const at = own === undefined ? -1 : first.indexOf(own)
      return at < 0 ? first : first.slice(0, at)
    },
    isOurs: (cid) => own !== undefined && places().length > 1 && ranked(cid).includes(own),
  }
}

/** The owner, and whoever stands in for it. */
const ASKED_MAX = 2
