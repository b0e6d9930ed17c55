import { all, openApi } from './api-client.ts'
import { secondOf } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled, idOf, KINDS } from './identified.ts'

/** `consilium members rm <federation> <node>` */
export async function execute({ args, output }: Call): Promise<number> {
  const named = secondOf(args)
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  const members = async () => (await all(api.federations.members(id, { limit: 200 }))).map(({ node }) => ({ id: node }))
  const node = await idOf(named, KINDS.node, members)
  await api.federations.removeMember(id, node)
  if (output.json) output.object({ federation: id, node, removed: true })
  else {
    output.line(`${node} is no member any more`)
    output.note(
      'a seat that it has it keeps until the round is over; whoever has an open code can still bring a new key',
    )
  }
  return EXIT.ok
}
