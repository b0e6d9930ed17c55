import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationLines } from './render/federations.ts'

/** `consilium federations ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const data = await all((await openApi(args)).federations.list({ limit: 200 }))
  if (output.json) output.object({ data })
  else {
    for (const line of federationLines(data)) output.line(line)
    if (data.length === 0) output.note('no federations yet: consilium federations create <name>')
  }
  return EXIT.ok
}
