import { ulid } from 'ulid'
import type { Bytes } from '#protocol/ids.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { webhookKey } from '#protocol/seeds.ts'
import type { WebhookDoors } from './api/webhooks.ts'
import type { Counters } from './counters.ts'
import { Notifier } from './notifier.ts'
import type { Orders } from './orders.ts'
import type { Runner } from './runner.ts'
import { openWebhookTransport } from './transports/webhooks.ts'
import { type SecretOf, webhookSecretOf } from './webhook-signature.ts'
import { Webhooks } from './webhooks.ts'

export type TellingDoors = {
  readonly log: EventLog
  readonly clock: Clock
  readonly orders: Orders
  readonly runner: Runner
  readonly counters: Counters
  /** The coordinator's. */
  readonly secret: Bytes
  /** `host:port` of hosts inside that may be told. */
  readonly hosts: ReadonlySet<string>
}

/** What tells webhook endpoints, and what the API needs of it. */
export function openTelling(doors: TellingDoors): WebhookDoors & AsyncDisposable {
  const { log, clock, orders, runner, counters, secret, hosts } = doors
  const transport = openWebhookTransport(hosts)
  const webhooks = new Webhooks({ log, clock, newEndpointId: () => `we_${ulid(clock.now())}` })
  const secretOf: SecretOf = (endpoint, version) => webhookSecretOf(webhookKey(secret, endpoint, version))
  const notifier = new Notifier({
    ...{ webhooks, runner, secretOf, clock, post: transport.post },
    orderOf: (run) => orders.of(run),
    count: (outcome) => counters.count('webhook_deliveries', outcome),
  })
  const { mistakeIn } = transport
  return {
    ...{ webhooks, notifier, mistakeIn, secretOf },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
