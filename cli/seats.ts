import type { ApiEvent } from '#sdk/sse.ts'
import type { SiteState } from './render/board.ts'

/** Who is in a run's open round, and what each did, as its events tell it. */
export class Seats {
  readonly #states = new Map<string, SiteState>()

  follow(event: ApiEvent): void {
    if (event.type === 'round.opened') this.#states.clear()
    const node = event['node']
    if (typeof node !== 'string') return
    const before = this.#states.get(node)
    if (event.type === 'node.joined') {
      const operator = event['operator']
      this.#states.set(node, { name: node, doing: 'joined', ...(typeof operator === 'string' && { operator }) })
    } else if (!before) return
    else if (event.type === 'update.reported')
      this.#states.set(node, { ...before, doing: 'reported', trainMillis: Number(event['train_ms']) })
    else if (event.type === 'node.left')
      this.#states.set(node, { ...before, doing: 'gone', reason: String(event['reason'] ?? 'left') })
  }

  /** Those who are waited for first. */
  states(): readonly SiteState[] {
    const all = [...this.#states.values()]
    return [...all.filter(({ doing }) => doing === 'joined'), ...all.filter(({ doing }) => doing !== 'joined')]
  }
}
