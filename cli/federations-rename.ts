import { openApi } from './api-client.ts'
import { secondOf } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'
import { plain } from './render/width.ts'

/** `consilium federations rename <federation> <name>` */
export async function execute({ args, output }: Call): Promise<number> {
  const name = secondOf(args)
  const description = args.text('description')
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  const change = { name, ...(description !== undefined && { description: description === '' ? null : description }) }
  const renamed = await api.federations.amend(id, change)
  if (output.json) output.object(renamed)
  else output.line(plain(`${renamed.id}  ${renamed.name}`))
  return EXIT.ok
}
