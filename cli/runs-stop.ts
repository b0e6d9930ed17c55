import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { confirm } from './confirm.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs stop <run>` */
export async function execute(call: Call): Promise<number> {
  const { args } = call
  await confirm(call, `stop ${args.positionals[0]} for everybody?`)
  const { runs } = await openApi(args)
  const run = await runs.stop(args.positionals[0] as string, args.text('reason') ?? '')
  const note =
    run.view.round === null ? undefined : `round ${run.view.round} is ending first: consilium runs watch ${run.id}`
  return answerRun(call, run, { until: 'ended', note, stops: true })
}
