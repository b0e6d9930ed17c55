import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { pino } from 'pino'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { openApi } from '#coordinator/api/server.ts'
import { BOUNDS } from '#coordinator/bounds.ts'
import { Claims } from '#coordinator/claims.ts'
import { Counters } from '#coordinator/counters.ts'
import { createRun } from '#coordinator/create.ts'
import { Orders } from '#coordinator/orders.ts'
import { Readiness } from '#coordinator/readiness.ts'
import { RETENTION } from '#coordinator/retention.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { nodeIdOf } from '#protocol/ids.ts'
import { RETURNS_MAX } from '#protocol/limits.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { temporaryFolder } from '#test/folder.ts'
import { accessDoors } from './access-doors.ts'
import { cid, specOf } from './fixture.ts'
import { request } from './live.ts'
import { modelDoors } from './model-doors.ts'
import { nodeDoors } from './node-doors.ts'
import { pinDoors } from './pin-doors.ts'

test('an event stream whose reader stands still is closed, and its place is free', async () => {
  const clock = virtualClock(0)
  const blobs = openMemoryBlobs()
  const memory = {
    log: openMemoryLog(),
    queue: openMemoryQueue<Job>({ clock }),
    clock,
    snapshots: openMemorySnapshots(),
  }
  await using runner = new Runner(memory, () => {})
  const readiness = new Readiness(memory)
  readiness.serve()
  const { run } = specOf()
  const cohort = { min: 4000, max: 4096, quorum: 2 }
  const spec = await createRun(blobs, run, createRunSchema.parse(request({ cohort })), null)
  if (!spec.ok) throw new Error(spec.refusal)
  await runner.create(spec.value)
  await runner.advance(run, { kind: 'held' })
  await runner.advance(run, { kind: 'opened', round: 1, plan: cid('plan'), invited: 4096 })
  // More than all buffers on the way hold: nodes that come and go as often as they may.
  const comings = Array.from({ length: 90 }, (_, index) => nodeIdOf(sha256(utf8(`node ${index}`)))).flatMap((node) =>
    Array.from({ length: RETURNS_MAX + 1 }, () => [
      { kind: 'joined', round: 1, node, operator: null, advert: null } as const,
      { kind: 'left', round: 1, node, reason: 'x'.repeat(32) } as const,
    ]).flat(),
  )
  await Promise.all(comings.map((event) => runner.advance(run, event)))
  expect(runner.position(run)).toBe(comings.length + 3)

  const counters = new Counters()
  const doors = {
    ...{
      runner,
      blobs,
      orders: new Orders(blobs),
      counters,
      presence: new MemoryPresence().openIn({}),
      newRunId: () => run,
      version: '0',
    },
    ...{
      retention: RETENTION,
      closing: new AbortController().signal,
      isOverloaded: () => false,
    },
    ...{ claims: new Claims(memory.log), clock, readiness },
    ...accessDoors({ log: memory.log, clock }),
    ...pinDoors({ log: memory.log, clock }),
    ...nodeDoors({ log: memory.log, clock }),
    ...modelDoors({ log: memory.log, clock }),
    bounds: { ...BOUNDS, streams: { total: 1, each: 1 }, stallMillis: 100 },
  }
  const server = { logger: pino({ level: 'silent' }), tls: undefined, gateway: async () => false, linksMax: 0 }
  const api = await openApi(doors, server)
  // Its buffers are a tenth of a network's.
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'socket')
  await api.listen({ path })
  const deaf = connect(path).pause()
  deaf.on('error', () => undefined)
  await once(deaf, 'connect')
  deaf.write(
    `GET /v1/runs/${run}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key\r\naccept: text/event-stream\r\n\r\n`,
  )
  while ((await counters.of('streams_closed', 'stalled')) === 0) await new Promise(setImmediate)
  expect(await counters.text()).toContain('consilium_event_streams 0')
  deaf.destroy()
  await api.close()
})
