import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient } from './federation-client.ts'
import { memberLines } from './render/federations.ts'

/** `consilium members ls <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const client = await FederationClient.open(args)
  const { id } = await client.find(args.positionals[0] as string)
  const data = await client.members(id)
  if (output.json) output.object({ data })
  else {
    for (const line of memberLines(data)) output.line(line)
    if (data.length === 0) output.note(`no members yet: consilium invite create ${id}`)
  }
  return EXIT.ok
}
