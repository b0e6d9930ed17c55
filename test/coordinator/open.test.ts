import { expect, test } from '@jest/globals'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import { openEffect } from '#coordinator/effects/open.ts'
import { stepRun } from '#coordinator/run.ts'
import { encodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import { COHORT_MAX } from '#protocol/limits.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { specOf } from './fixture.ts'
import { request, signer } from './live.ts'

test('a round opens however many nodes are linked', async () => {
  const [blobs, clock] = [openMemoryBlobs(), virtualClock(1)]
  const spec = await createRun(blobs, specOf().run, createRunSchema.parse(request()), null)
  if (!spec.ok) throw new Error(spec.refusal)
  const created = stepRun(undefined, { kind: 'created', at: 0, spec: spec.value })
  const funded = created.ok ? stepRun(created.value, { kind: 'held', at: 0 }) : created
  if (!funded.ok) throw new Error(funded.refusal)
  for (const linked of [0, COHORT_MAX, COHORT_MAX + 1, 20_000]) {
    const open = openEffect({
      blobs,
      signer: signer('coordinator'),
      clock,
      settledAt: 0,
      presence: { ...new MemoryPresence().openIn({}), count: async () => linked },
      runs: () => [],
    })
    const opened = await open(funded.value, { kind: 'open', round: 1 }, new AbortController().signal)
    expect(encodeEvent({ ...opened, at: 0 } as RunEvent).length).toBeGreaterThan(0)
  }
})
