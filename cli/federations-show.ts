import { all, openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'
import { inviteLines, memberLines } from './render/federations.ts'
import { plain } from './render/width.ts'

/** `consilium federations show <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const federation = await federationCalled(api, args.positionals[0] as string)
  const [members, invites] = await Promise.all([
    all(api.federations.members(federation.id, { limit: 200 })),
    all(api.federations.invites(federation.id, { limit: 200 })),
  ])
  if (output.json) {
    output.object({ ...federation, members, invites })
    return EXIT.ok
  }
  output.line(plain(`${federation.id}  ${federation.name}`))
  if (federation.description) output.line(plain(federation.description))
  for (const lines of [memberLines(members), inviteLines(invites, Date.now())])
    for (const line of lines.length > 0 ? ['', ...lines] : []) output.line(line)
  if (members.length === 0) output.note(`no members yet: consilium invite create ${federation.id}`)
  return EXIT.ok
}
