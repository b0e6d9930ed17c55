import { openApiClient } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { idOf, KINDS } from './identified.ts'
import { keyLine } from './render/access.ts'

/** `consilium keys revoke <key>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApiClient(args)
  const id = await idOf(args.positionals[0] as string, KINDS.key, () => api.keys())
  const key = await api.revokeKey(id)
  if (output.json) output.object(key)
  else output.line(keyLine(key, Date.now()))
  return EXIT.ok
}
