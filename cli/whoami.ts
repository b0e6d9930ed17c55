import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { whoLines } from './render/access.ts'

/** `consilium whoami` */
export async function execute({ args, output }: Call): Promise<number> {
  const who = await (await openApi(args)).whoami()
  if (output.json) output.object(who)
  else for (const line of whoLines(who)) output.line(line)
  return EXIT.ok
}
