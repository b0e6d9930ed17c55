import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'
import { inviteLines } from './render/federations.ts'

/** `consilium invite ls <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  const data = await all(api.federations.invites(id, { limit: 200 }))
  if (output.json) output.object({ data })
  else {
    for (const line of inviteLines(data, Date.now())) output.line(line)
    if (data.length === 0) output.note(`no invites: consilium invite create ${id}`)
  }
  return EXIT.ok
}
