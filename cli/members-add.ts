import { openApi } from './api-client.ts'
import { secondOf } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'
import { memberLines } from './render/federations.ts'

/** `consilium members add <federation> <node>` */
export async function execute({ args, output }: Call): Promise<number> {
  const node = secondOf(args)
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  const member = await api.federations.addMember(id, { node, operator: args.text('operator') ?? null })
  if (output.json) output.object(member)
  else for (const line of memberLines([member])) output.line(line)
  return EXIT.ok
}
