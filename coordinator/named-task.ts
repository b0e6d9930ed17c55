import { decode } from '#protocol/codec.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { taskSchema } from '#protocol/task.ts'
import { createRunSchema } from './api/schemas.ts'
import type { Origin, TaskOrder } from './keep-task.ts'
import { readBlock, readRecord } from './record.ts'
import type { Run } from './run.ts'
import { orderOfTask } from './tasks.ts'

/** A task that is kept here, as a request brings it: whoever launches it again has the same one, by the same checks. */
export async function taskNamed(blobs: BlobStore, cid: Cid): Promise<Result<TaskOrder, 'no-task'>> {
  if (!(await blobs.has(cid))) return refuse('no-task', `${cid} is not here`)
  const task = decode(taskSchema, await blobs.getBlock(cid, BLOCK_BYTES_MAX), BLOCK_BYTES_MAX)
  if (!task.ok) return refuse('no-task', `${cid} is no task`)
  const { architecture, genesis, start } = task.value
  const named = [architecture, ...(start ? [genesis] : [])]
  for (const block of named)
    if (!(await blobs.has(block))) return refuse('no-task', `it names ${block}, which is not here`)
  const whole = createRunSchema.shape.task.safeParse(await orderOfTask(blobs, task.value))
  return whole.success ? accept(whole.data) : refuse('no-task', 'a run of it cannot be launched any more')
}

export type ForkRefusal = 'no-round' | 'not-closed' | 'no-model'

/** The model of a closed round: what a fork starts from. */
export async function originAt(
  blobs: BlobStore,
  run: Run,
  round: number,
): Promise<Result<{ readonly origin: Origin; readonly weights: Cid }, ForkRefusal>> {
  if (run.spec.purpose === 'ask') return refuse('no-model', 'a question makes no model')
  const past = run.past[round - 1]
  if (!past) return refuse('no-round', `the run has closed no round ${round}`)
  if (past.manifest === null) return refuse('not-closed', `round ${round} came to nothing: ${past.reason}`)
  const { model } = await readRecord(blobs, past.manifest, 'round')
  const { weights } = await readBlock(blobs, model, modelSchema)
  return accept({ origin: { run: run.spec.run, round, manifest: past.manifest, model }, weights })
}
