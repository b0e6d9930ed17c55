import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient } from './federation-client.ts'

/** `consilium federations rm <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const client = await FederationClient.open(args)
  const { id } = await client.find(args.positionals[0] as string)
  await client.dissolve(id)
  if (output.json) output.object({ federation: id, dissolved: true })
  else output.line(`${id} is dissolved`)
  return EXIT.ok
}
