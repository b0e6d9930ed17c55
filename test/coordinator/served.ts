import { pino } from 'pino'
import { ulid } from 'ulid'
import { openApi } from '#coordinator/api/server.ts'
import { BOUNDS, type Bounds } from '#coordinator/bounds.ts'
import { Claims } from '#coordinator/claims.ts'
import { Counters } from '#coordinator/counters.ts'
import { Orders } from '#coordinator/orders.ts'
import { Readiness } from '#coordinator/readiness.ts'
import { RETENTION } from '#coordinator/retention.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import type { RunId } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { accessDoors } from './access-doors.ts'
import { modelDoors } from './model-doors.ts'
import { nodeDoors } from './node-doors.ts'
import { pinDoors } from './pin-doors.ts'

export type Asked = {
  readonly method?: 'GET' | 'OPTIONS' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: object | string
}
export type Said = {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of it
  readonly body: any
}

/**
 * The API in this process, without a port: over a log and a clock of its own, or over those of another one, as processes of
 * one coordinator are. No key but the root's, which is `key`, is there at first.
 */
export async function served(
  over: {
    readonly log?: EventLog
    readonly blobs?: ReturnType<typeof openMemoryBlobs>
    readonly clock?: ReturnType<typeof virtualClock>
    readonly bounds?: Partial<Bounds>
    readonly origins?: ReadonlySet<string>
  } = {},
) {
  const { log = openMemoryLog(), blobs = openMemoryBlobs(), clock = virtualClock(Date.UTC(2026, 10, 22)) } = over
  const snapshots = openMemorySnapshots()
  const runner = new Runner({ log, queue: openMemoryQueue<Job>({ clock }), clock, snapshots }, () => undefined)
  const readiness = new Readiness({ log, clock })
  const nodes = nodeDoors({ log, clock })
  readiness.serve()
  const server = await openApi(
    {
      ...{ ...accessDoors({ log, clock }), ...pinDoors({ log, clock }), ...nodes },
      ...modelDoors({ log, clock }),
      ...{
        runner,
        claims: new Claims(log),
        readiness,
        clock,
        blobs,
        orders: new Orders(blobs),
        counters: new Counters(),
      },
      ...{ presence: new MemoryPresence().openIn({}), version: '0', retention: RETENTION },
      ...{ newRunId: () => `run_${ulid()}` as RunId, bounds: { ...BOUNDS, ...over.bounds }, isOverloaded: () => false },
      closing: new AbortController().signal,
    },
    {
      ...{ logger: pino({ level: 'silent' }), tls: undefined, gateway: async () => false, linksMax: 0 },
      origins: over.origins,
    },
  )
  /** @param key the root's unless it says otherwise; null sends none */
  const ask = async (
    url: string,
    { method = 'GET', key = 'key', headers = {}, payload }: Asked = {},
  ): Promise<Said> => {
    const answer = await server.inject({
      ...{ method, url },
      headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
      ...(payload === undefined ? {} : { payload }),
    })
    const { statusCode: status, body: text } = answer
    const isJson = String(answer.headers['content-type']).includes('json')
    return { status, headers: answer.headers, text, body: isJson && text !== '' ? JSON.parse(text) : undefined }
  }
  return { server, ask, log, blobs, clock, runner, datasets: nodes.datasets }
}
