import { expect, test } from '@jest/globals'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { RUN } from './fixture.ts'
import { request } from './live.ts'

/** What comes of a request for a run of hospitals. */
async function ordered(change: object) {
  const hospitals = { population: 'hospital', cohort: { min: 5, max: 5, quorum: 4 } }
  const asked = createRunSchema.parse(request({ ...hospitals, ...change }))
  const made = await createRun(openMemoryBlobs(), RUN, asked, null)
  return made.ok ? { publish: made.value.secure?.publish } : { refused: made.where?.pointer }
}

test('hospitals put no vector where anybody can read it, unless whoever launches the run says so in as many words', async () => {
  expect(await ordered({})).toEqual({ publish: 'commit-only' })
  expect(await ordered({ secure: { suite: 1 }, masking: 'secagg/1' })).toEqual({ publish: 'commit-only' })
  expect(await ordered({ secure: { publish: 'full' } })).toEqual({ publish: 'full' })
})

test('hospitals train under masks, whatever is said', async () => {
  expect(await ordered({ masking: 'none' })).toEqual({ refused: '/masking' })
  expect(await ordered({ masking: 'none', secure: { publish: 'full' } })).toEqual({ refused: '/masking' })
  expect(await ordered({ cohort: { min: 2, max: 2, quorum: 2 } })).toEqual({ refused: '/masking' })
})
