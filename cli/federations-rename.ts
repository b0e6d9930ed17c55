import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient, secondOf } from './federation-client.ts'
import { plain } from './render/width.ts'

/** `consilium federations rename <federation> <name>` */
export async function execute({ args, output }: Call): Promise<number> {
  const name = secondOf(args)
  const description = args.text('description')
  const client = await FederationClient.open(args)
  const { id } = await client.find(args.positionals[0] as string)
  const change = { name, ...(description !== undefined && { description: description === '' ? null : description }) }
  const renamed = await client.amend(id, change)
  if (output.json) output.object(renamed)
  else output.line(plain(`${renamed.id}  ${renamed.name}`))
  return EXIT.ok
}
