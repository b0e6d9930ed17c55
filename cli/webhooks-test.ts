import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { endpointId } from './identified.ts'
import { deliveryLine } from './webhooks-deliveries.ts'

/** `consilium webhooks test <endpoint>`: a message about nothing, now. */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const delivery = await api.webhooks.test(await endpointId(api, args.positionals[0] as string))
  if (output.json) output.object(delivery)
  else output.line(deliveryLine(delivery))
  if (delivery.outcome === 'delivered') return EXIT.ok
  throw new Failure(EXIT.network, 'not_delivered', `it was not taken: ${delivery.reason ?? delivery.status}`, {
    fix: 'is the address right, and does it answer with 2xx?',
  })
}
