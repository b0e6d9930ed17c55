import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs resume <run>` */
export async function execute(call: Call): Promise<number> {
  const { runs } = await openApi(call.args)
  const run = await runs.resume(call.args.positionals[0] as string)
  return answerRun(call, run, { until: 'ended', note: `follow it with: consilium runs watch ${run.id}` })
}
