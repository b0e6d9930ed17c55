import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs pause <run>` */
export async function execute(call: Call): Promise<number> {
  const { args } = call
  const api = await openApiClient(args)
  const run = await api.pause(args.positionals[0] as string, args.text('reason') ?? '')
  const first = run.round === null ? '' : `round ${run.round} goes to its end first\n`
  return answerRun(call, api, run, {
    until: 'paused',
    note: `${first}let it go on with: consilium runs resume ${run.id}`,
  })
}
