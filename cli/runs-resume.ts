import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { describeRun } from './runs-show.ts'

/** `consilium runs resume <run>` */
export async function execute({ args, output }: Call): Promise<number> {
  const run = await (await openApiClient(args)).resume(args.positionals[0] as string)
  if (output.json) output.object(run)
  else {
    output.line(describeRun(run))
    output.note(`follow it with: consilium runs watch ${run.id}`)
  }
  return EXIT.ok
}
