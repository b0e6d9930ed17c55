import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { FederationClient, secondOf } from './federation-client.ts'

/** `consilium members rm <federation> <node>` */
export async function execute({ args, output }: Call): Promise<number> {
  const named = secondOf(args)
  const client = await FederationClient.open(args)
  const { id } = await client.find(args.positionals[0] as string)
  const node = await client.remove(id, named)
  if (output.json) output.object({ federation: id, node, removed: true })
  else {
    output.line(`${node} is no member any more`)
    output.note(
      'a seat that it has it keeps until the round is over; whoever has an open code can still bring a new key',
    )
  }
  return EXIT.ok
}
