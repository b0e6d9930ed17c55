import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { keyLine } from './render/access.ts'

/** `consilium keys ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const keys = await all((await openApi(args)).keys.list({ limit: 200 }))
  if (output.json) output.object({ data: keys })
  else {
    for (const key of keys) output.line(keyLine(key, Date.now()))
    if (keys.length === 0) output.note('no keys but the root: consilium keys create --name … --scopes …')
  }
  return EXIT.ok
}
