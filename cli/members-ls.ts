import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'
import { memberLines } from './render/federations.ts'

/** `consilium members ls <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  const data = await all(api.federations.members(id, { limit: 200 }))
  if (output.json) output.object({ data })
  else {
    for (const line of memberLines(data)) output.line(line)
    if (data.length === 0) output.note(`no members yet: consilium invite create ${id}`)
  }
  return EXIT.ok
}
