import { ROUNDS_MAX } from '#protocol/limits.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { answerRun } from './run-answer.ts'

/** `consilium runs extend <run> --rounds <n>` */
export async function execute(call: Call): Promise<number> {
  const { args } = call
  args.required('rounds', 'how many training rounds are added')
  const rounds = args.integer('rounds', { min: 1, max: ROUNDS_MAX - 1 })
  const added = { rounds, budget: args.text('budget') ?? '0' }
  const { runs } = await openApi(args)
  const run = await runs.extend(args.positionals[0] as string, added, {
    idempotencyKey: args.text('idempotency-key'),
  })
  return answerRun(call, run, { until: 'ended' })
}
