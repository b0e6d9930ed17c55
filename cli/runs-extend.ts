import { ROUNDS_MAX } from '#protocol/limits.ts'
import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { describeRun } from './runs-show.ts'

/** `consilium runs extend <run> --rounds <n>` */
export async function execute({ args, output }: Call): Promise<number> {
  args.required('rounds', 'how many training rounds are added')
  const rounds = args.integer('rounds', { min: 1, max: ROUNDS_MAX - 1 })
  const added = { rounds, budget: args.text('budget') ?? '0' }
  const run = await (await openApiClient(args)).extend(
    args.positionals[0] as string,
    added,
    args.text('idempotency-key'),
  )
  if (output.json) output.object(run)
  else output.line(describeRun(run))
  return EXIT.ok
}
