import { Federations } from './federations.ts'
import { Listing, type ListOptions } from './listing.ts'
import { Runs } from './runs.ts'
import { type CallOptions, type ConsiliumOptions, type CreateOptions, Transport } from './transport.ts'
import type { ApiKeyView, FileView, NodeView, TaskView, WebhookEndpointView, WhoamiView } from './views.ts'
import { verifySignature } from './webhook-signature.ts'

/**
 * A coordinator's API: in Node and in browsers, with nothing but `fetch`. Whatever is refused is an {@link ApiError} with its
 * code; what may be granted later is asked for again, under the same idempotency key, so that it is done once.
 */
export class Consilium {
  /** For what has no method here: the same key, patience and errors. */
  readonly transport: Transport
  readonly runs: Runs
  readonly nodes: Nodes
  readonly federations: Federations
  readonly tasks: Tasks
  readonly keys: Keys
  readonly webhooks: Webhooks

  constructor(options: ConsiliumOptions) {
    this.transport = new Transport(options)
    this.runs = new Runs(this.transport)
    this.nodes = new Nodes(this.transport)
    this.federations = new Federations(this.transport)
    this.tasks = new Tasks(this.transport)
    this.keys = new Keys(this.transport)
    this.webhooks = new Webhooks(this.transport)
  }

  /** Whose key this is, and what it may do. */
  whoami(options: CallOptions = {}): Promise<WhoamiView> {
    return this.transport.json('/v1/whoami', options)
  }

  /** Keeps a file that anybody may then read: public data, or weights that a run starts from. No time limit: it may be large. */
  keepFile(file: Blob, options: CallOptions = {}): Promise<FileView> {
    const headers = { 'content-type': 'application/octet-stream' }
    return this.transport.json('/v1/files', { method: 'POST', body: file, headers, timeoutMs: 0, ...options })
  }
}

class Nodes {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list({ which, ...options }: ListOptions & { readonly which?: 'linked' | 'known' } = {}): Listing<NodeView> {
    return new Listing(this.#transport, '/v1/nodes', { ...options, query: { which } }, same)
  }

  get(id: string, options: CallOptions = {}): Promise<NodeView> {
    return this.#transport.json(`/v1/nodes/${encodeURIComponent(id)}`, options)
  }
}

class Tasks {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(options: ListOptions = {}): Listing<TaskView> {
    return new Listing(this.#transport, '/v1/tasks', options, same)
  }

  /** @param task the `task` of what a run is created from @returns it under its CID, which is the same every time */
  create(task: object, options: CreateOptions = {}): Promise<TaskView> {
    return this.#transport.json('/v1/tasks', { method: 'POST', json: task, ...options })
  }

  get(cid: string, options: CallOptions = {}): Promise<object> {
    return this.#transport.json(`/v1/tasks/${encodeURIComponent(cid)}`, options)
  }
}

class Keys {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(options: ListOptions = {}): Listing<ApiKeyView> {
    return new Listing(this.#transport, '/v1/api-keys', options, same)
  }

  /** @returns with `key`, which is told this once */
  create(
    key: {
      readonly name: string
      readonly scopes: readonly string[]
      readonly federation?: string
      expiresAt?: string
    },
    options: CreateOptions = {},
  ): Promise<ApiKeyView & { readonly key: string }> {
    return this.#transport.json('/v1/api-keys', { method: 'POST', json: key, ...options })
  }

  revoke(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json(`/v1/api-keys/${encodeURIComponent(id)}`, { method: 'DELETE', ...options })
  }
}

class Webhooks {
  readonly #transport: Transport
  /** Whether a delivery is the coordinator's, and new. */
  readonly verifySignature = verifySignature

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(options: ListOptions = {}): Listing<WebhookEndpointView> {
    return new Listing(this.#transport, '/v1/webhook-endpoints', options, same)
  }

  /** @returns with `secret`, which is told this once */
  create(
    endpoint: { readonly url: string; readonly events: readonly string[]; readonly description?: string },
    options: CreateOptions = {},
  ): Promise<WebhookEndpointView & { readonly secret: string }> {
    return this.#transport.json('/v1/webhook-endpoints', { method: 'POST', json: endpoint, ...options })
  }

  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json(`/v1/webhook-endpoints/${encodeURIComponent(id)}`, { method: 'DELETE', ...options })
  }
}

function same<T>(view: T): T {
  return view
}
