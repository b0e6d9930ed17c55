import { INVITE_USES_MAX } from '#coordinator/federation-events.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { federationCalled } from './identified.ts'

const DAY_MILLIS = 86_400_000
/** A year. */
const DAYS_MAX = 366

/** `consilium invite create <federation>` */
export async function execute({ args, output }: Call): Promise<number> {
  const uses = args.integer('uses', { min: 1, max: INVITE_USES_MAX })
  const days = args.text('expires') === 'never' ? null : args.integer('expires', { min: 1, max: DAYS_MAX })
  const api = await openApi(args)
  const federation = await federationCalled(api, args.positionals[0] as string)
  const expiresAt = days === null ? null : new Date(Date.now() + days * DAY_MILLIS).toISOString()
  const { fingerprint } = await api.coordinator()
  const terms = { operator: args.text('operator') ?? null, uses, expiresAt }
  const made = await api.federations.invite(federation.id, terms, {
    idempotencyKey: args.text('idempotency-key'),
  })
  if (output.json) {
    output.object({ ...made, federation: federation.id, fingerprint })
    return EXIT.ok
  }
  output.line(`code         ${made.code}`)
  output.line(`for          ${federation.name}${made.operator ? `, as ${made.operator}` : ''}`)
  output.line(
    `good for     ${uses === 1 ? 'one node' : `${uses} nodes`}, ${made.expires_at ? `until ${made.expires_at}` : 'for ever'}`,
  )
  output.line(`fingerprint  ${fingerprint}`)
  output.note(`the code is shown this once. They type: consilium node join ${made.code} --coordinator <url>`)
  output.note('and compare the fingerprint with you by telephone before they go on')
  return EXIT.ok
}
