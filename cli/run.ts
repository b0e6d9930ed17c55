import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { openApiClient } from './api-client.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { describeRun } from './runs-show.ts'
import { watchRun } from './runs-watch.ts'

/** `consilium run <task.json>` */
export async function execute({ args, output }: Call): Promise<number> {
  const file = args.positionals[0] as string
  const task = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  try {
    JSON.parse(task)
  } catch (cause) {
    throw usage('bad_task', `${file} is not JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
  const api = await openApiClient(args)
  const run = await api.launch(task, args.text('idempotency-key'))
  if (args.flag('watch')) return watchRun(api, run.id, output)
  if (output.json) output.object(run)
  else {
    output.line(describeRun(run))
    output.note(`follow it with: consilium runs watch ${run.id}`)
  }
  return EXIT.ok
}
