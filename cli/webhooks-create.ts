import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'

/** `consilium webhooks create <url>` */
export async function execute({ args, output }: Call): Promise<number> {
  const [events, description] = [args.texts('event'), args.text('description')]
  const endpoint = await (await openApi(args)).webhooks.create(
    {
      url: args.positionals[0] as string,
      ...(events.length > 0 && { events }),
      ...(description !== undefined && { description }),
    },
    { idempotencyKey: args.text('idempotency-key') },
  )
  if (output.json) output.object(endpoint)
  else {
    output.line(`endpoint   ${endpoint.id}`)
    output.line(`events     ${endpoint.events.join(', ')}`)
    output.line(`secret     ${endpoint.secret}`)
    output.note(`the secret is shown this once; try it: consilium webhooks test ${endpoint.id}`)
  }
  return EXIT.ok
}
