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
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { accessDoors } from './access-doors.ts'
import { specOf } from './fixture.ts'
import { request } from './live.ts'
import { modelDoors } from './model-doors.ts'
import { nodeDoors } from './node-doors.ts'
import { pinDoors } from './pin-doors.ts'

test('a disk that fails once hides a run once', async () => {
  const clock = virtualClock(0)
  const blobs = openMemoryBlobs()
  let broken = false
  const failing: typeof blobs = {
    ...blobs,
    getBlock: (...args) => (broken ? Promise.reject(new Error('EIO')) : blobs.getBlock(...args)),
  }
  const snapshots = openMemorySnapshots()
  const memory = { log: openMemoryLog(), queue: openMemoryQueue<Job>({ clock }), clock, snapshots }
  await using runner = new Runner(memory, () => {})
  const spec = await createRun(blobs, specOf().run, createRunSchema.parse(request()), null)
  if (!spec.ok) throw new Error(spec.refusal)
  await runner.create(spec.value)
  const readiness = new Readiness(memory)
  readiness.serve()
  const doors = {
    ...{
      runner,
      blobs: failing,
      orders: new Orders(failing),
      counters: new Counters(),
      presence: new MemoryPresence().openIn({}),
    },
    ...{
      newRunId: () => specOf().run,
      ...{ claims: new Claims(memory.log), clock, readiness },
      ...accessDoors({ log: memory.log, clock }),
      ...pinDoors({ log: memory.log, clock }),
      ...nodeDoors({ log: memory.log, clock }),
      ...modelDoors({ log: memory.log, clock }),
      version: '0',
      bounds: BOUNDS,
      retention: RETENTION,
      isOverloaded: () => false,
      closing: new AbortController().signal,
    },
  }
  const logger = pino({ level: 'silent' })
  const api = await openApi(doors, { logger, tls: undefined, gateway: async () => false, linksMax: 0 })
  const list = async () => (await api.inject({ url: '/v1/runs', headers: { authorization: 'Bearer key' } })).statusCode
  broken = true
  expect(await list()).toBe(500)
  broken = false
  expect(await list()).toBe(200)
  await api.close()
})
