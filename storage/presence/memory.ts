import type { NodeId } from '#protocol/ids.ts'
import type { Presence } from '#protocol/ports.ts'

/**
 * Who is linked, for the processes that live in this one: in the embedded shape one, in a simulation several. `openIn`
 * gives one process's view; `died` is for whoever ends one without a farewell.
 */
export class MemoryPresence {
  readonly #links = new Map<NodeId, object>()
  readonly #dead = new Set<object>()
  /** Of each process, nodes that went from it to another one. */
  readonly #moved = new Map<object, Set<NodeId>>()

  openIn(process: object): Presence {
    const links = this.#links
    const dead = this.#dead
    const moved = this.#moved
    const left = (from: object) => moved.get(from) ?? new Set<NodeId>()
    const isHere = (node: NodeId) => links.has(node) && !dead.has(links.get(node) as object)
    const nodes = () => [...links.keys()].filter(isHere).sort()
    return {
      async arrived(node) {
        const before = links.get(node)
        if (before && before !== process) moved.set(before, left(before).add(node))
        left(process).delete(node)
        links.set(node, process)
      },
      async departed(node) {
        left(process).delete(node)
        return links.get(node) === process && links.delete(node)
      },
      has: async (node) => isHere(node),
      nodes: async () => nodes(),
      count: async () => nodes().length,
      moved: async () => [...left(process)].sort(),
      async orphans() {
        const lost = [...links.keys()].filter((node) => !isHere(node)).sort()
        for (const node of lost) links.delete(node)
        return lost
      },
      async [Symbol.asyncDispose]() {
        for (const [node, at] of links) if (at === process) links.delete(node)
        moved.delete(process)
      },
    }
  }

  /** The process is gone, and could not say so. */
  died(process: object): void {
    this.#dead.add(process)
  }
}
