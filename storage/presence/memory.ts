import type { NodeId } from '#protocol/ids.ts'
import type { Presence } from '#protocol/ports.ts'

/**
 * Who is linked, for the processes that live in this one: in the embedded shape one, in a simulation several. `openIn`
 * gives one process's view; `died` is for whoever ends one without a farewell.
 */
export class MemoryPresence {
  readonly #links = new Map<NodeId, object>()
  readonly #dead = new Set<object>()

  openIn(process: object): Presence {
    const links = this.#links
    const dead = this.#dead
    const isHere = (node: NodeId) => links.has(node) && !dead.has(links.get(node) as object)
    const nodes = () => [...links.keys()].filter(isHere).sort()
    return {
      async arrived(node) {
        links.set(node, process)
      },
      async departed(node) {
        return links.get(node) === process && links.delete(node)
      },
      has: async (node) => isHere(node),
      nodes: async () => nodes(),
      count: async () => nodes().length,
      async orphans() {
        const lost = [...links.keys()].filter((node) => !isHere(node)).sort()
        for (const node of lost) links.delete(node)
        return lost
      },
      async [Symbol.asyncDispose]() {
        for (const [node, at] of links) if (at === process) links.delete(node)
      },
    }
  }

  /** The process is gone, and could not say so. */
  died(process: object): void {
    this.#dead.add(process)
  }
}
