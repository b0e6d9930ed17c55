import { z } from 'zod'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { assert } from '#protocol/assert.ts'
import { parseCid } from '#protocol/cid.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { taskSchema } from '#protocol/task.ts'
import { checkTask, keepTask } from '../keep-task.ts'
import { readBlock } from '../record.ts'
import { orderOfTask } from '../tasks.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { CREATE_RUN } from './examples.ts'
import { TASK } from './model-examples.ts'
import { byKey, pageIn } from './paging.ts'
import { inTime, later, notFound, Problem } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { createRunSchema, page } from './schemas.ts'
import { runsFor } from './tenancy.ts'
import { timeOf } from './views.ts'

export const taskView = z
  .object({
    task: z.string().meta({ description: 'its CID, by which a run may name it' }),
    name: z.string(),
    data: z.enum(['image', 'table', 'text', 'joint']),
    loss: z.string(),
    architecture: z.string(),
    genesis: z.string().meta({ description: 'the model that training starts from' }),
    parameters: z.int(),
    trained: z.int().meta({ description: 'those that an update moves' }),
    created_at: z.string().meta({ description: 'RFC 3339: when it was posted, or when its first run was' }),
  })
  .meta({ id: 'Task', examples: [TASK] })

/** Once for all servers of a process: made anew, its name in the description would depend on which of them came first. */
const newTaskSchema = createRunSchema.shape.task.meta({ id: 'NewTask', examples: [CREATE_RUN.task] })
export const taskParams = z.object({ cid: z.string().max(200) })

/** What to train, apart from any run of it: by content, so that the same task is the same CID, whoever posts it. */
export function taskRoutes(routes: Routes, doors: ApiDoors): void {
  const { blobs, clock, tasks } = doors

  routes.post(
    '/v1/tasks',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Check a task and keep it, without a run',
        description:
          'What is under task in a request for a run. The same task has the same CID: a repeat answers it again.',
        body: newTaskSchema,
        response: { 201: taskView, ...problems },
      },
    },
    async ({ body, caller }, reply) => {
      const checked = checkTask(body)
      const kept = checked.ok ? await keepTask(blobs, checked.value) : checked
      if (!kept.ok) {
        const { message } = kept.where
        throw new Problem(422, 'invalid_task', 'This task cannot be trained', message, { errors: [kept.where] })
      }
      const { task } = kept.value
      const at = await inTime(clock, tasks.post(task, caller.federation), 'post it again: it is one task')
      if (at === undefined) throw later(503, 'too_many_tasks', 'no more tasks are kept; a run may still bring its own')
      return reply
        .code(201)
        .header('location', `/v1/tasks/${task}`)
        .send(await viewOf(doors, task, at))
    },
  )

  routes.get(
    '/v1/tasks',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'Tasks of known runs, and those that were posted, the newest first',
        querystring: pageQuery,
        response: { 200: page(taskView), ...problems },
      },
    },
    async ({ query, caller }) =>
      pageIn(await known(doors, caller), query, { keyOf: placeOf, newestFirst: true }, ([task, at]) =>
        viewOf(doors, task, at),
      ),
  )

  routes.get(
    '/v1/tasks/:cid',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'One task, as it is posted',
        params: taskParams,
        response: {
          200: z.looseObject({ name: z.string() }).meta({ id: 'TaskOrder', examples: [CREATE_RUN.task] }),
          ...problems,
        },
      },
    },
    async ({ params, caller }) => {
      const cid = parseCid(params.cid)
      const isKnown = cid.ok && (await known(doors, caller)).some(([task]) => task === cid.value)
      if (!isKnown) throw notFound('task', params.cid.slice(0, 100))
      return orderOfTask(blobs, await readBlock(blobs, cid.value, taskSchema))
    },
  )
}

/** Each once, with the first time that it was seen. */
async function known(doors: ApiDoors, caller: Caller): Promise<readonly (readonly [Cid, Millis])[]> {
  const first = new Map<Cid, Millis>()
  const see = (task: Cid, at: Millis) => first.set(task, Math.min(at, first.get(task) ?? at))
  for (const { spec, createdAt } of runsFor(doors, caller)) if (spec.purpose === 'train') see(spec.task, createdAt)
  for (const { task, at } of await inTime(doors.clock, doors.tasks.posted(caller.federation))) see(task, at)
  return [...first].toSorted(byKey(placeOf)).reverse()
}

/** By time, as a text: of those of one moment the CID decides. */
function placeOf([task, at]: readonly [Cid, Millis]): string {
  return `${String(at).padStart(16, '0')}.${task}`
}

async function viewOf(doors: ApiDoors, cid: Cid, at: Millis): Promise<z.output<typeof taskView>> {
  const { name, data, loss, architecture, genesis } = await readBlock(doors.blobs, cid, taskSchema)
  const shape = shapeOf(await readBlock(doors.blobs, architecture, architectureSchema))
  assert(shape.ok, 'an architecture is checked before its task is kept')
  const { parameters, trained } = shape.value
  return { task: cid, name, data: data.kind, loss, architecture, genesis, parameters, trained, created_at: timeOf(at) }
}
