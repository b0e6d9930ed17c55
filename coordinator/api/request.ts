import type { z } from 'zod'
import type { CreateRun } from '../create.ts'
import type { Origin } from '../keep-task.ts'
import { originAt, taskNamed } from '../named-task.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { Problem } from './problems.ts'
import type { launchRunSchema } from './run-schemas.ts'
import { find } from './runs.ts'

export type LaunchRun = z.output<typeof launchRunSchema>
/** What a request asks for, with everything in it that it only named. */
export type Whole = { readonly request: CreateRun; readonly origin: Origin | undefined }

/** Reads what a request names: a task that is kept here, and the round whose model it starts from. */
export async function wholeOf(doors: ApiDoors, caller: Caller, { task, fork, ...rest }: LaunchRun): Promise<Whole> {
  const named = 'cid' in task ? await taskNamed(doors.blobs, task.cid) : { ok: true as const, value: task }
  if (!named.ok) throw unfit('/task/cid', named.detail ?? named.refusal)
  if (!fork) return { request: { ...rest, task: named.value }, origin: undefined }
  if (!('cid' in task) && task.weights) throw unfit('/task/weights', 'must be left out: the fork names where it starts')
  const at = await originAt(doors.blobs, await find(doors, caller, fork.run), fork.round)
  if (!at.ok) throw unfit('/fork/round', at.detail ?? at.refusal)
  const { origin, weights } = at.value
  return { request: { ...rest, task: { ...named.value, weights } }, origin }
}

function unfit(pointer: string, message: string): Problem {
  return new Problem(422, 'invalid_run', 'This run cannot be launched', message, { errors: [{ pointer, message }] })
}
