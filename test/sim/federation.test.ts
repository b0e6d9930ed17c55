import { describe, expect, test } from '@jest/globals'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Masking } from '#protocol/plan.ts'
import { type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import { BlockFile } from '#sim/block-file.ts'
import { federate } from '#sim/federation.ts'
import { TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { verifyRecord } from '#verify/verify.ts'

type Shape = { readonly sites: number; readonly cohort: number; readonly masking?: Masking; readonly whole?: boolean }

/** Two rounds of the toy's training, verified. */
async function run({ sites, cohort, masking = 'none', whole = false }: Shape) {
  const least = Math.max(masking === 'none' ? 2 : 3, cohort - 1)
  const rule = { min: least, max: cohort, quorum: least }
  const secure = { suite: 1 }
  const order = createRunSchema.parse({ task: TOY_TASK, rounds: 2, budget: '999', masking, cohort: rule, secure })
  using file = new BlockFile()
  const blobs = openMemoryBlobs({ blocks: file })
  const trained: number[] = []
  let [now, most] = [0, 0]
  const trainerOf = (site: number): TrainerBackend => ({
    ...toyTrainer(site),
    fit: async (...args) => {
      trained.push(site)
      most = Math.max(most, ++now)
      const update = await toyTrainer(site).fit(...args)
      now--
      return update
    },
  })
  const { run, coordinator } = await federate({
    ...{ seed: new Uint8Array(32).fill(7), sites, order, trainerOf, abreast: 2, blobs, whole },
    ...{ tell: () => undefined, signal: new AbortController().signal },
  })
  const block = (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX)
  const verdict = await verifyRecord(run.manifest as Cid, block, { coordinator })
  expect(verdict).toMatchObject({ ok: true, pinned: true, outcome: 'completed', paid: 999n })
  return { run, trained, most }
}

describe('a federation of virtual sites', () => {
  test('makes, to the last byte, the record that whole nodes with the same keys make', async () => {
    const [light, whole] = [await run({ sites: 7, cohort: 5 }), await run({ sites: 7, cohort: 5, whole: true })]
    expect(light.run.model).toBe(whole.run.model)
    expect(light.run.manifest).toBe(whole.run.manifest)
  })

  test('trains at those sites alone that have a seat, and at no more of them at a time than is asked', async () => {
    const { run: ended, trained, most } = await run({ sites: 30, cohort: 4 })
    expect(ended.past.map(({ reason }) => reason)).toEqual([null, null, null])
    expect(trained).toHaveLength(3 * 4)
    expect(most).toBeLessThanOrEqual(2)
  })

  test('runs masked rounds as well, twice to the same record', async () => {
    const shape = { sites: 5, cohort: 4, masking: 'secagg/1' } as const
    expect((await run(shape)).run.manifest).toBe((await run(shape)).run.manifest)
  })

  test('whose rounds come to nothing ends as a failure, by their reason, and waits for no owner', async () => {
    const cohort = { min: 3, max: 3, quorum: 3 }
    const order = createRunSchema.parse({ task: TOY_TASK, rounds: 1, masking: 'none', cohort, onFailures: 'pause' })
    const unfit: TrainerBackend = {
      ...toyTrainer(0),
      fit: async () => {
        throw new TrainingRefused('too-few-rows', 'none')
      },
    }
    const { run } = await federate({
      ...{ seed: new Uint8Array(32), sites: 3, order, abreast: 1, blobs: openMemoryBlobs(), tell: () => undefined },
      ...{ trainerOf: () => unfit, signal: new AbortController().signal },
    })
    expect(run.phase).toBe('ended')
    expect(run.past.map(({ reason }) => reason)).toEqual(Array(3).fill('too-few-reports'))
  })

  test('that fails in its trainer says at which site, and does not wait', async () => {
    const broken: TrainerBackend = {
      ...toyTrainer(1),
      fit: async () => {
        throw new Error('no memory')
      },
    }
    const order = createRunSchema.parse({
      task: TOY_TASK,
      rounds: 1,
      masking: 'none',
      cohort: { min: 2, max: 3, quorum: 2 },
    })
    const failing = federate({
      ...{ seed: new Uint8Array(32), sites: 3, order, abreast: 1, blobs: openMemoryBlobs(), tell: () => undefined },
      ...{ trainerOf: (site) => (site === 1 ? broken : toyTrainer(site)), signal: new AbortController().signal },
    })
    await expect(failing).rejects.toThrow('site 2: no memory')
  })
})
