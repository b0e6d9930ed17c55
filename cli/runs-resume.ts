import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs resume <run>` */
export async function execute(call: Call): Promise<number> {
  const api = await openApiClient(call.args)
  const run = await api.resume(call.args.positionals[0] as string)
  return answerRun(call, api, run, { until: 'ended', note: `follow it with: consilium runs watch ${run.id}` })
}
