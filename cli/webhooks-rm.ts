import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { confirm } from './confirm.ts'
import { EXIT } from './failure.ts'
import { endpointId } from './identified.ts'

/** `consilium webhooks rm <endpoint>` */
export async function execute(call: Call): Promise<number> {
  const { args, output } = call
  const named = args.positionals[0] as string
  await confirm(call, `tell ${named} nothing more?`)
  const api = await openApi(args)
  const id = await endpointId(api, named)
  await api.webhooks.remove(id)
  if (output.json) output.object({ id, removed: true })
  else output.line(`${id} is told nothing more`)
  return EXIT.ok
}
