import { Listing, type ListOptions, same } from './listing.ts'
import type { CallOptions, ChangeOptions, CreateOptions, Transport } from './transport.ts'
import type { WebhookDeliveryView, WebhookEndpointView, WebhookEndpointWithSecretView } from './views/webhooks.ts'
import { verifySignature } from './webhook-signature.ts'

export type NewEndpoint = {
  readonly url: string
  /** Types of events: `round.completed`, `run.*` for all that start so, or `*`. */
  readonly events?: readonly string[]
  readonly description?: string
}

/** Who else is told of what happens. */
export class Webhooks {
  readonly #transport: Transport
  /** Whether a delivery is the coordinator's, and new. */
  readonly verifySignature = verifySignature

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The oldest first. */
  list(options: ListOptions = {}): Listing<WebhookEndpointView> {
    return new Listing(this.#transport, ROOT, options, same)
  }

  get(id: string, options: CallOptions = {}): Promise<WebhookEndpointView> {
    return this.#transport.json(of(id), options)
  }

  /** @returns with `secret`, which is told this once */
  create(endpoint: NewEndpoint, options: CreateOptions = {}): Promise<WebhookEndpointWithSecretView> {
    return this.#transport.json(ROOT, { method: 'POST', json: endpoint, ...options })
  }

  /** @property enabled switches it off and on */
  change(
    id: string,
    change: Partial<NewEndpoint> & { readonly enabled?: boolean },
    options: ChangeOptions = {},
  ): Promise<WebhookEndpointView> {
    return this.#transport.json(of(id), { method: 'PATCH', json: change, ...options })
  }

  /**
   * Makes another secret. Until the old one's time is over, a day unless it is said, messages are signed by both.
   *
   * @returns with `secret`, which is told this once
   */
  rotateSecret(
    id: string,
    { overlapSeconds, ...options }: CreateOptions & ChangeOptions & { readonly overlapSeconds?: number } = {},
  ): Promise<WebhookEndpointWithSecretView> {
    const json = overlapSeconds === undefined ? {} : { overlapSeconds }
    return this.#transport.json(`${of(id)}/rotate-secret`, { method: 'POST', json, ...options })
  }

  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json(of(id), { method: 'DELETE', ...options })
  }

  /** The latest tries, the newest first. */
  deliveries(id: string, options: ListOptions = {}): Listing<WebhookDeliveryView> {
    return new Listing(this.#transport, `${of(id)}/deliveries`, options, same)
  }

  /** Sends one message again, now. @param delivery its `id` */
  redeliver(id: string, delivery: string, options: CallOptions = {}): Promise<WebhookDeliveryView> {
    const path = `${of(id)}/deliveries/${encodeURIComponent(delivery)}/redeliver`
    return this.#transport.json(path, { method: 'POST', ...options })
  }

  /** Sends a message about nothing, now. */
  test(id: string, options: CallOptions = {}): Promise<WebhookDeliveryView> {
    return this.#transport.json(`${of(id)}/test`, { method: 'POST', ...options })
  }
}

const ROOT = '/v1/webhook-endpoints'

function of(id: string): string {
  return `${ROOT}/${encodeURIComponent(id)}`
}
