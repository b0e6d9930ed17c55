import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium model card <run>` */
export async function execute({ args, output }: Call): Promise<number> {
  const run = args.positionals[0] as string
  const card = await (await (await openApi(args)).runs.get(run)).card()
  if (output.json) output.object({ run, card })
  else output.line(card.trimEnd())
  return EXIT.ok
}
