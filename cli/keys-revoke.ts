import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { idOf, KINDS } from './identified.ts'
import { keyLine } from './render/access.ts'

/** `consilium keys revoke <key>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const id = await idOf(args.positionals[0] as string, KINDS.key, () => all(api.keys.list({ limit: 200 })))
  const key = await api.keys.revoke(id)
  if (output.json) output.object(key)
  else output.line(keyLine(key, Date.now()))
  return EXIT.ok
}
