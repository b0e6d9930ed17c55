import { OVERLAP_SECONDS_MAX } from '#coordinator/webhooks.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { endpointId } from './identified.ts'

/** `consilium webhooks rotate <endpoint>` */
export async function execute({ args, output }: Call): Promise<number> {
  const overlapSeconds = args.integer('overlap', { min: 0, max: OVERLAP_SECONDS_MAX })
  const api = await openApi(args)
  const id = await endpointId(api, args.positionals[0] as string)
  const idempotencyKey = args.text('idempotency-key')
  const endpoint = await api.webhooks.rotateSecret(id, { overlapSeconds, idempotencyKey })
  if (output.json) output.object(endpoint)
  else {
    output.line(`endpoint   ${endpoint.id}`)
    output.line(`secret     ${endpoint.secret}`)
    output.note(
      endpoint.old_secret_until === null
        ? 'the secret is shown this once; the old one is good for nothing'
        : `the secret is shown this once; until ${endpoint.old_secret_until} messages are signed by the old one as well`,
    )
  }
  return EXIT.ok
}
