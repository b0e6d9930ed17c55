import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { NodeId, RunId } from '#protocol/ids.ts'
import type { Presence } from '#protocol/ports.ts'
import { sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import type { EventStreams } from './event-stream.ts'
import { Problem } from './problems.ts'
import { problems, type Routes } from './runs.ts'
import { nodesOf } from './tenancy.ts'

/** What happens within this time is told at once. */
const COALESCE_MILLIS = 100
/** So often it is looked who is linked, for all feeds together. */
const NODES_MILLIS = 2000

const EXAMPLE = 'event: reset\ndata: {"type":"reset"}\n\n'

/** Who is linked, looked up for as long as anybody wants to know. */
class Linked {
  readonly #presence: Pick<Presence, 'nodes'>
  readonly #listeners = new Set<(nodes: readonly NodeId[]) => void>()
  #timer: NodeJS.Timeout | undefined
  #known: readonly NodeId[] | undefined

  constructor(presence: Pick<Presence, 'nodes'>) {
    this.#presence = presence
  }

  subscribe(listener: (nodes: readonly NodeId[]) => void): Disposable {
    this.#listeners.add(listener)
    this.#timer ??= setInterval(() => void this.#look(), NODES_MILLIS).unref()
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener)
        if (this.#listeners.size > 0) return
        clearInterval(this.#timer)
        this.#timer = undefined
        this.#known = undefined
      },
    }
  }

  async #look(): Promise<void> {
    const nodes = await this.#presence.nodes().catch(() => undefined)
    if (!nodes) return
    const known = this.#known
    this.#known = nodes
    if (known?.length === nodes.length && known.every((node, index) => node === nodes[index])) return
    for (const listener of this.#listeners) listener(nodes)
  }
}

/**
 * What changes, of all runs at once and without a history, for pages that show many: a run's events are its own stream's to
 * tell. Whoever comes, or comes back, is told to read its lists anew.
 */
export function feedRoutes(routes: Routes, doors: ApiDoors, streams: EventStreams): void {
  const { runner, presence } = doors
  const linked = new Linked(presence)

  routes.get(
    '/v1/events',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'What changes, in all runs, as server-sent events',
        description:
          '`reset` first: read your lists. Then at most ten times a second `run.event` {run, seq}, that the run has events up to seq, and `nodes.changed` {linked}. It has no history: after a break there is a new reset.',
        produces: ['text/event-stream'],
        response: { 200: z.string().meta({ examples: [EXAMPLE] }), ...problems },
      },
    },
    async (request, reply) => {
      if (!request.headers.accept?.includes('text/event-stream'))
        throw new Problem(406, 'not_acceptable', 'This is a stream', 'ask for it with Accept: text/event-stream')
      const changed = new Map<RunId, number>()
      let nodes: readonly NodeId[] | undefined
      let woken = Promise.withResolvers<void>()
      using _runs = runner.subscribe(({ after, position }) => {
        if (!sees(request.caller, after.spec.federation)) return
        changed.set(after.spec.run, position)
        woken.resolve()
      })
      using _nodes = linked.subscribe((now) => {
        nodes = now
        woken.resolve()
      })
      using stream = streams.open(request, reply)
      const { signal } = stream
      signal.addEventListener('abort', () => woken.resolve(), { once: true })
      await stream.write({ name: 'reset', data: { type: 'reset' } })
      while (!signal.aborted) {
        await woken.promise
        woken = Promise.withResolvers()
        if (signal.aborted) return reply
        const runs = [...changed]
        changed.clear()
        for (const [run, seq] of runs) await stream.write({ name: 'run.event', data: { type: 'run.event', run, seq } })
        const known = nodes && (await nodesOf(doors, request.caller, nodes).catch(() => undefined))
        nodes = undefined
        if (known) await stream.write({ name: 'nodes.changed', data: { type: 'nodes.changed', linked: known.length } })
        await pause(COALESCE_MILLIS, undefined, { signal }).catch(() => undefined)
      }
      return reply
    },
  )
}
