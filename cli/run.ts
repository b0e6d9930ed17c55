import { openAsBlob } from 'node:fs'
import { type ApiClient, openApiClient } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { givenModel } from './given-model.ts'
import { describeRun } from './runs-show.ts'
import { watchRun } from './runs-watch.ts'
import { readTaskFile } from './task-file.ts'

/** `consilium run <task.json or task.ts>` */
export async function execute({ args, output }: Call): Promise<number> {
  const { order: asked, text: task } = await readTaskFile(args.positionals[0] as string, output)
  const api = await openApiClient(args)
  const publicData = await keepPublicData(api, args)
  const given = await givenModel(api, args, output)
  const changes = { ...given, ...(publicData && { publicData }) }
  const isChanged = Object.keys(changes).length > 0
  const order = isChanged ? JSON.stringify({ ...asked, task: { ...asked.task, ...changes } }) : task
  const run = await api.launch(order, args.text('idempotency-key'))
  if (args.flag('watch')) return watchRun(api, run.id, output, { keys: !args.flag('no-input') })
  if (output.json) output.object(run)
  else {
    output.line(describeRun(run))
    output.note(`follow it with: consilium runs watch ${run.id}`)
  }
  return EXIT.ok
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
