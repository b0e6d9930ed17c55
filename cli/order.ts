import { openAsBlob } from 'node:fs'
import { type Loss, lossField } from '#protocol/task.ts'
import type { Consilium } from '#sdk/client.ts'
import type { Run } from '#sdk/runs.ts'
import type { CreateRun } from '#sdk/task.ts'
import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import { givenModel } from './given-model.ts'
import type { Output } from './output.ts'
import { historyOf } from './runs-show.ts'
import { stopWhenOf } from './stop-when.ts'
import { readTaskFile } from './task-file.ts'

/** Whom a run is asked of, and what that request says: a task file as it is, unless flags change it. What is wrong with the file is said before anybody is asked. */
export async function orderFrom(
  args: Arguments,
  output: Output,
): Promise<{ readonly api: Consilium; readonly order: CreateRun }> {
  const asked = await readTaskFile(args.positionals[0] as string, output)
  const api = await openApi(args)
  const publicData = await keepPublicData(api, args)
  const given = await givenModel(api, args, output, lossIn(asked.task))
  const ofTask = { ...given, ...(publicData && { publicData }) }
  const [from, stopWhen] = [args.text('from'), args.text('stop-when')]
  const ofRun = {
    ...(from !== undefined && { fork: await forkAt(api, from) }),
    ...(stopWhen !== undefined && { stopWhen: stopWhenOf(stopWhen) }),
  }
  // Nothing of it has been looked at: what is wrong with it the API says.
  const task = Object.keys(ofTask).length > 0 ? { task: { ...asked.task, ...ofTask } } : {}
  return { api, order: { ...asked, ...ofRun, ...task } as CreateRun }
}

/** A loss that there is not the API refuses. */
function lossIn(task: object | undefined): Loss | undefined {
  return lossField.safeParse((task as { readonly loss?: unknown } | undefined)?.loss).data
}

/** `RUN@ROUND`, or of a run the last round that closed. */
async function forkAt(api: Consilium, from: string): Promise<{ readonly run: string; readonly round: number }> {
  const [id = '', at] = from.split('@')
  const run = await api.runs.get(id)
  if (at === undefined) return { run: run.id, round: await lastClosed(run) }
  if (/^[1-9][0-9]{0,3}$/.test(at)) return { run: run.id, round: Number(at) }
  throw usage('bad_value', `--from is a run, or a run@round, not ${from}`)
}

async function lastClosed(run: Run): Promise<number> {
  const last = (await historyOf(run)).findLast(({ outcome }) => outcome === 'closed')
  if (last) return last.round
  throw new Failure(EXIT.notFound, 'no_round', `no round of ${run.id} has closed: it has made no model to start from`)
}

/** Files for nodes that bring none, as the task is to name them. */
async function keepPublicData(api: Consilium, args: Arguments): Promise<object | undefined> {
  const [table, images, labels] = ['public-table', 'public-images', 'public-labels'].map((name) => args.text(name))
  if ((images === undefined) !== (labels === undefined) || (table !== undefined && images !== undefined))
    throw usage('bad_public_data', '--public-images and --public-labels go together, and without --public-table')
  if (table !== undefined) return { kind: 'csv', table: await keep(api, table) }
  if (images === undefined || labels === undefined) return undefined
  return { kind: 'idx', images: await keep(api, images), labels: await keep(api, labels) }
}

async function keep(api: Consilium, path: string): Promise<string> {
  const file = await openAsBlob(path).catch((cause: unknown) => {
    throw new Failure(EXIT.data, 'no_data', `${path} cannot be read`, { cause })
  })
  return (await api.tasks.keepFile(file)).cid
}
