import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { keyLine } from './render/access.ts'

/** `consilium keys revoke <key>` */
export async function execute({ args, output }: Call): Promise<number> {
  const key = await (await openApiClient(args)).revokeKey(args.positionals[0] as string)
  if (output.json) output.object(key)
  else output.line(keyLine(key, Date.now()))
  return EXIT.ok
}
