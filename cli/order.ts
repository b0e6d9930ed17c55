import { openAsBlob } from 'node:fs'
import { type ApiClient, openApiClient } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import { givenModel } from './given-model.ts'
import type { Output } from './output.ts'
import { stopWhenOf } from './stop-when.ts'
import { readTaskFile } from './task-file.ts'

/** Whom a run is asked of, and the body of that request: a task file as it is, unless flags change it. What is wrong with the file is said before anybody is asked. */
export async function orderFrom(
  args: Arguments,
  output: Output,
): Promise<{ readonly api: ApiClient; readonly order: string }> {
  const { order: asked, text: task } = await readTaskFile(args.positionals[0] as string, output)
  const api = await openApiClient(args)
  const publicData = await keepPublicData(api, args)
  const given = await givenModel(api, args, output)
  const ofTask = { ...given, ...(publicData && { publicData }) }
  const [from, stopWhen] = [args.text('from'), args.text('stop-when')]
  const ofRun = {
    ...(from !== undefined && { fork: await forkAt(api, from) }),
    ...(stopWhen !== undefined && { stopWhen: stopWhenOf(stopWhen) }),
  }
  const isChanged = Object.keys(ofTask).length + Object.keys(ofRun).length > 0
  const order = isChanged ? JSON.stringify({ ...asked, ...ofRun, task: { ...asked.task, ...ofTask } }) : task
  return { api, order }
}

/** `RUN@ROUND`, or of a run the last round that closed. */
async function forkAt(api: ApiClient, from: string): Promise<{ readonly run: string; readonly round: number }> {
  const [id = '', at] = from.split('@')
  const { id: run } = await api.run(id)
  if (at === undefined) return { run, round: await lastClosed(api, run) }
  if (/^[1-9][0-9]{0,3}$/.test(at)) return { run, round: Number(at) }
  throw usage('bad_value', `--from is a run, or a run@round, not ${from}`)
}

async function lastClosed(api: ApiClient, run: string): Promise<number> {
  let last: number | undefined
  for (let after: string | null = '0'; after !== null; ) {
    const { data, next }: Awaited<ReturnType<ApiClient['rounds']>> = await api.rounds(run, after)
    last = data.findLast(({ outcome }) => outcome === 'closed')?.round ?? last
    after = next
  }
  if (last !== undefined) return last
  throw new Failure(EXIT.notFound, 'no_round', `no round of ${run} has closed: it has made no model to start from`)
}

/** Files for nodes that bring none, as the task is to name them. */
async function keepPublicData(api: ApiClient, args: Arguments): Promise<object | undefined> {
  const [table, images, labels] = ['public-table', 'public-images', 'public-labels'].map((name) => args.text(name))
  if ((images === undefined) !== (labels === undefined) || (table !== undefined && images !== undefined))
    throw usage('bad_public_data', '--public-images and --public-labels go together, and without --public-table')
  if (table !== undefined) return { kind: 'csv', table: await keep(api, table) }
  if (images === undefined || labels === undefined) return undefined
  return { kind: 'idx', images: await keep(api, images), labels: await keep(api, labels) }
}

async function keep(api: ApiClient, path: string): Promise<string> {
  const file = await openAsBlob(path).catch((cause: unknown) => {
    throw new Failure(EXIT.data, 'no_data', `${path} cannot be read`, { cause })
  })
  return api.keepFile(file)
}
