import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient, secondOf } from './federation-client.ts'

/** `consilium invite revoke <federation> <invite>` */
export async function execute({ args, output }: Call): Promise<number> {
  const named = secondOf(args)
  const client = await FederationClient.open(args)
  const { id } = await client.find(args.positionals[0] as string)
  const invite = await client.revoke(id, named)
  if (output.json) output.object({ federation: id, invite, revoked: true })
  else output.line(`${invite} is revoked`)
  return EXIT.ok
}
