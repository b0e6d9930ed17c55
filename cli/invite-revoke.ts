import { all, openApi } from './api-client.ts'
import { secondOf } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled, idOf, KINDS } from './identified.ts'

/** `consilium invite revoke <federation> <invite>` */
export async function execute({ args, output }: Call): Promise<number> {
  const named = secondOf(args)
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  const invite = await idOf(named, KINDS.invite, () => all(api.federations.invites(id, { limit: 200 })))
  await api.federations.withdrawInvite(id, invite)
  if (output.json) output.object({ federation: id, invite, revoked: true })
  else output.line(`${invite} is revoked`)
  return EXIT.ok
}
