import type { Call } from './command.ts'
import { confirm } from './confirm.ts'
import { EXIT } from './failure.ts'
import { openWebhooks } from './webhooks-client.ts'

/** `consilium webhooks rm <endpoint>` */
export async function execute(call: Call): Promise<number> {
  const { args, output } = call
  const named = args.positionals[0] as string
  await confirm(call, `tell ${named} nothing more?`)
  const id = await (await openWebhooks(args)).remove(named)
  if (output.json) output.object({ id, removed: true })
  else output.line(`${id} is told nothing more`)
  return EXIT.ok
}
