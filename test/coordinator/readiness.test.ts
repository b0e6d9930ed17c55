import { describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { openApi } from '#coordinator/api/server.ts'
import { BOUNDS } from '#coordinator/bounds.ts'
import { Claims } from '#coordinator/claims.ts'
import { Counters } from '#coordinator/counters.ts'
import { Orders } from '#coordinator/orders.ts'
import { Readiness } from '#coordinator/readiness.ts'
import { RETENTION } from '#coordinator/retention.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { RunId } from '#protocol/ids.ts'
import type { SharedLog } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { accessDoors } from './access-doors.ts'
import { request } from './live.ts'
import { modelDoors } from './model-doors.ts'
import { nodeDoors } from './node-doors.ts'
import { pinDoors } from './pin-doors.ts'

/** A log that can be taken away: what is asked of it then is answered when it is back. */
function takeable() {
  const log = openMemoryLog()
  let back = Promise.withResolvers<void>()
  back.resolve()
  const shaky: SharedLog = {
    ...log,
    async append(...args) {
      await back.promise
      return log.append(...args)
    },
    async head(stream) {
      await back.promise
      return log.head(stream)
    },
  }
  const takeAway = () => {
    back = Promise.withResolvers()
    return () => back.resolve()
  }
  return { log: shaky, takeAway }
}

/** The API alone, over memory doors. */
async function api() {
  const { log, takeAway } = takeable()
  const clock = virtualClock(1_000_000)
  const blobs = openMemoryBlobs()
  const runner = new Runner(
    { log, queue: openMemoryQueue<Job>({ clock }), clock, snapshots: openMemorySnapshots() },
    () => undefined,
  )
  const readiness = new Readiness({ log, clock })
  const claims = new Claims(log)
  let runs = 0
  const doors = {
    ...accessDoors({ log, clock }),
    ...pinDoors({ log, clock }),
    ...nodeDoors({ log, clock }),
    ...modelDoors({ log, clock }),
    ...{ runner, claims, readiness, clock, blobs, orders: new Orders(blobs), counters: new Counters() },
    ...{ presence: new MemoryPresence().openIn({}), version: '0', retention: RETENTION },
    newRunId: () => `run_0000000000000000000000000${runs++}` as RunId,
    ...{ bounds: BOUNDS, isOverloaded: () => false },
    closing: new AbortController().signal,
  }
  const server = await openApi(doors, {
    ...{ logger: pino({ level: 'silent' }), tls: undefined, gateway: async () => false, linksMax: 0 },
  })
  const ask = async (
    url: string,
    more: { method?: 'POST'; payload?: object; headers?: Record<string, string> } = {},
  ) => {
    const answer = await server.inject({ url, ...more, headers: { authorization: 'Bearer key', ...more.headers } })
    return { status: answer.statusCode, retryAfter: answer.headers['retry-after'], ...answer.json() }
  }
  const launch = (key?: string) =>
    ask('/v1/runs', {
      method: 'POST',
      payload: request({ budget: '0' }),
      headers: key ? { 'idempotency-key': key } : {},
    })
  return { ask, launch, readiness, clock, takeAway, claims }
}

describe('a coordinator', () => {
  test('is ready when it has recovered and its log answers, and says otherwise why it is not', async () => {
    const { ask, readiness, clock, takeAway } = await api()
    const ready = async () => {
      const answer = ask('/readyz')
      await clock.advance(1000)
      return answer
    }
    expect(await ready()).toMatchObject({ status: 503, code: 'recovering', retryAfter: '2' })
    readiness.serve()
    expect(await ready()).toMatchObject({ status: 'ready' })
    const giveBack = takeAway()
    expect(await ready()).toMatchObject({ status: 503, code: 'log_away' })
    giveBack()
    expect(await ready()).toMatchObject({ status: 'ready' })
    readiness.drain()
    expect(await ready()).toMatchObject({ status: 503, code: 'draining' })
    expect(await ask('/healthz')).toMatchObject({ status: 'ok' })
  })

  test('that has not recovered knows no runs, and one that drains begins nothing new', async () => {
    const { ask, launch, readiness } = await api()
    expect([await ask('/v1/runs'), await launch()]).toMatchObject([{ code: 'recovering' }, { code: 'recovering' }])
    readiness.serve()
    const { id } = await launch()
    readiness.drain()
    expect(await launch()).toMatchObject({ status: 503, code: 'draining', retryAfter: '2' })
    expect(await ask(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })).toMatchObject({
      ...{ status: 503, code: 'draining' },
    })
    expect(await ask(`/v1/runs/${id}`)).toMatchObject({ id, status: 'funding' })
  })
})

describe('a launch', () => {
  test('whose log is away is answered in time, and happens once when the log is back', async () => {
    const { ask, launch, readiness, clock, takeAway } = await api()
    readiness.serve()
    const giveBack = takeAway()
    const answers = [launch('key'), launch('key'), launch()]
    await clock.advance(5000)
    const [first, second, keyless] = await Promise.all(answers)
    for (const answer of [first, second]) {
      expect(answer).toMatchObject({ status: 503, code: 'log_away', retryAfter: '5' })
      expect(answer.detail).toMatch('same Idempotency-Key')
    }
    expect(keyless.detail).toMatch('look at the list')
    giveBack()
    await clock.advance(10)
    expect(await launch('key')).toMatchObject({ status: 'funding' })
    expect((await ask('/v1/runs')).data).toHaveLength(2)
  })

  test('that was claimed by a process which died before it made the run is made under the claimed name', async () => {
    const { ask, launch, readiness, claims } = await api()
    readiness.serve()
    const payload = createRunSchema.parse(request({ budget: '0' }))
    const claimed = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
    const body = sha256(utf8(JSON.stringify(payload)))
    await claims.make('key', { v: 1, run: claimed, purpose: 'train', body })
    const launched = await Promise.all([launch('key'), launch('key'), launch('key')])
    expect(new Set(launched.map(({ id }) => id))).toEqual(new Set([claimed]))
    expect((await ask('/v1/runs')).data).toHaveLength(1)
    // And of two claims at once, one stands.
    const both = ['run_01ARZ3NDEKTSV4RRFFQ69G5FAA', 'run_01ARZ3NDEKTSV4RRFFQ69G5FAB'] as RunId[]
    const standing = await Promise.all(both.map((run) => claims.make('other', { v: 1, run, purpose: 'train', body })))
    expect(standing[0]?.run).toBe(standing[1]?.run)
  })
})
