import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { describeRun } from './runs-show.ts'

/** `consilium runs pause <run>` */
export async function execute({ args, output }: Call): Promise<number> {
  const run = await (await openApiClient(args)).pause(args.positionals[0] as string, args.text('reason') ?? '')
  if (output.json) output.object(run)
  else {
    output.line(describeRun(run))
    if (run.round !== null) output.note(`round ${run.round} goes to its end first`)
    output.note(`let it go on with: consilium runs resume ${run.id}`)
  }
  return EXIT.ok
}
