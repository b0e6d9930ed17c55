import { expect, test } from '@jest/globals'
import { encodeWeights } from '#aggregation/weights.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { readBlock, readModel } from '#coordinator/record.ts'
import { once } from '#protocol/bytes.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { taskSchema } from '#protocol/task.ts'
import { federate } from '#sim/federation.ts'
import { TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { verifyRecord } from '#verify/verify.ts'

test('a run that starts from given weights is trained from them by whole nodes, and verified from its record alone', async () => {
  const blobs = openMemoryBlobs()
  const weights = Float32Array.of(0.5, -0.25, 4)
  const file = await blobs.put(once(encodeWeights(weights)), 12)
  const cohort = { min: 3, max: 3, quorum: 3 }
  const order = createRunSchema.parse({ task: { ...TOY_TASK, weights: file }, rounds: 1, masking: 'none', cohort })
  const started: number[][] = []
  const { run, coordinator } = await federate({
    ...{ seed: new Uint8Array(32).fill(3), sites: 3, order, abreast: 1, blobs, whole: true, tell: () => undefined },
    trainerOf: (site) => ({
      ...toyTrainer(site),
      fit: async (model, ...rest) => {
        started.push([...model])
        return toyTrainer(site).fit(model, ...rest)
      },
    }),
    signal: new AbortController().signal,
  })
  expect(started.slice(0, 3)).toEqual([[...weights], [...weights], [...weights]])
  const task = await readBlock(blobs, run.spec.task, taskSchema)
  expect(task).toMatchObject({ start: 'given', genesis: run.spec.genesis })
  expect([...(await readModel(blobs, task.genesis)).weights]).toEqual([...weights])

  const seen = new Set<Cid>()
  const block = (cid: Cid) => {
    seen.add(cid)
    return blobs.getBlock(cid, BLOCK_BYTES_MAX)
  }
  expect(await verifyRecord(run.manifest as Cid, block, { coordinator })).toMatchObject({ ok: true })
  expect(seen).toContain(file)
})
