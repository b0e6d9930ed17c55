import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs pause <run>` */
export async function execute(call: Call): Promise<number> {
  const { args } = call
  const { runs } = await openApi(args)
  const run = await runs.pause(args.positionals[0] as string, args.text('reason') ?? '')
  const first = run.view.round === null ? '' : `round ${run.view.round} goes to its end first\n`
  return answerRun(call, run, {
    until: 'paused',
    note: `${first}let it go on with: consilium runs resume ${run.id}`,
  })
}
