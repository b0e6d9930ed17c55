import { expect, test } from '@jest/globals'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import { openEffect } from '#coordinator/effects/open.ts'
import { stepRun } from '#coordinator/run.ts'
import { encodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import { COHORT_MAX, RUN_EVENTS_MAX } from '#protocol/limits.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { specOf } from './fixture.ts'
import { request, signer } from './live.ts'
import { EVERYBODY } from './node-doors.ts'

async function funded() {
  const blobs = openMemoryBlobs()
  const spec = await createRun(blobs, specOf().run, createRunSchema.parse(request()), null)
  if (!spec.ok) throw new Error(spec.refusal)
  const created = stepRun(undefined, { kind: 'created', at: 0, spec: spec.value })
  const run = created.ok ? stepRun(created.value, { kind: 'held', at: 0 }) : created
  if (!run.ok) throw new Error(run.refusal)
  return { blobs, run: run.value }
}

async function opening({ linked = 3, position = 2 }) {
  const { blobs, run } = await funded()
  const doors = { blobs, signer: signer('coordinator'), clock: virtualClock(1), settledAt: 0, runs: () => [] }
  const presence = { ...new MemoryPresence().openIn({}), count: async () => linked }
  const open = openEffect({ ...doors, presence, eligibility: EVERYBODY, position: () => position })
  const event = { ...(await open(run, { kind: 'open', round: 1 }, new AbortController().signal)), at: 0 } as RunEvent
  expect(encodeEvent(event).length).toBeGreaterThan(0)
  return { event, next: stepRun(run, event) }
}

test('a round opens however many nodes are linked', async () => {
  for (const linked of [0, COHORT_MAX, COHORT_MAX + 1, 20_000])
    expect((await opening({ linked })).event).toMatchObject({ kind: 'opened', round: 1 })
})

test('a run whose log is full opens no round, and ends by that name', async () => {
  expect((await opening({ position: RUN_EVENTS_MAX - 1 })).event.kind).toBe('opened')
  const { event, next } = await opening({ position: RUN_EVENTS_MAX })
  expect(event).toMatchObject({ kind: 'stopped', reason: 'log-full' })
  expect(next).toMatchObject({ ok: true, value: { phase: 'finishing', stopping: 'log-full' } })
})
