import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'

/** `consilium federations rm <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const { id } = await federationCalled(api, args.positionals[0] as string)
  await api.federations.remove(id)
  if (output.json) output.object({ federation: id, dissolved: true })
  else output.line(`${id} is dissolved`)
  return EXIT.ok
}
