import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { roundLines } from './render/rounds.ts'
import { historyOf } from './runs-show.ts'

/** `consilium rounds ls <run>` */
export async function execute({ args, output }: Call): Promise<number> {
  const run = await (await openApi(args)).runs.get(args.positionals[0] as string)
  const data = await historyOf(run)
  if (output.json) output.object({ data })
  else {
    for (const line of roundLines(data)) output.line(line)
    if (data.length === 0) output.note('no round has begun')
  }
  return EXIT.ok
}
