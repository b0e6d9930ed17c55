import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient, secondOf } from './federation-client.ts'
import { memberLines } from './render/federations.ts'

/** `consilium members add <federation> <node>` */
export async function execute({ args, output }: Call): Promise<number> {
  const node = secondOf(args)
  const client = await FederationClient.open(args)
  const { id } = await client.find(args.positionals[0] as string)
  const member = await client.add(id, node, args.text('operator') ?? null)
  if (output.json) output.object(member)
  else for (const line of memberLines([member])) output.line(line)
  return EXIT.ok
}
