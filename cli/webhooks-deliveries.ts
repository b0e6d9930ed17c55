import type { WebhookDeliveryView } from '#sdk/views/webhooks.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { endpointId } from './identified.ts'
import { rowOf } from './render/rounds.ts'
import { plain } from './render/width.ts'

/** `consilium webhooks deliveries <endpoint>`: the latest tries, the newest first. */
export async function execute({ args, output }: Call): Promise<number> {
  const api = await openApi(args)
  const id = await endpointId(api, args.positionals[0] as string)
  const deliveries = await api.webhooks.deliveries(id, { limit: 200 }).page()
  if (output.json) output.object(deliveries)
  else {
    for (const delivery of deliveries.data) output.line(deliveryLine(delivery))
    if (deliveries.data.length === 0) output.note('nothing was sent since the coordinator began')
  }
  return EXIT.ok
}

export function deliveryLine({
  at,
  id,
  type,
  outcome,
  status,
  attempt,
  elapsed_ms,
  reason,
}: WebhookDeliveryView): string {
  const answer = status === null ? '-' : String(status)
  return plain(
    rowOf(
      [at, id, type, outcome, answer, `try ${attempt}`, `${elapsed_ms} ms`, reason ?? ''],
      [24, 36, 16, 9, 3, 6, 8, 0],
    ),
  )
}
