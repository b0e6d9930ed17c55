import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { confirm } from './confirm.ts'
import { EXIT } from './failure.ts'
import { describeRun } from './runs-show.ts'

/** `consilium runs stop <run>` */
export async function execute(call: Call): Promise<number> {
  const { args, output } = call
  await confirm(call, `stop ${args.positionals[0]} for everybody?`)
  const reason = args.text('reason') ?? ''
  const run = await (await openApiClient(args)).stop(args.positionals[0] as string, reason)
  if (output.json) output.object(run)
  else {
    output.line(describeRun(run))
    if (run.round !== null) output.note(`round ${run.round} is ending first: consilium runs watch ${run.id}`)
  }
  return EXIT.ok
}
