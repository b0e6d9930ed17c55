import { Listing, type ListOptions, same } from './listing.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { DatasetView, NodeView, NodeWithHistoryView } from './views/nodes.ts'

/** The nodes, which of them are invited, and what they say in public of their data. */
export class Nodes {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** By their ids. @property which `known`: those as well that are away and have said what they can do */
  list({ which, ...options }: ListOptions & { readonly which?: 'linked' | 'known' } = {}): Listing<NodeView> {
    return new Listing(this.#transport, '/v1/nodes', { ...options, query: { which } }, same)
  }

  get(id: string, options: CallOptions = {}): Promise<NodeWithHistoryView> {
    return this.#transport.json(`/v1/nodes/${encodeURIComponent(id)}`, options)
  }

  /** It is invited to no new round until it is resumed; what it has begun it finishes. */
  drain(id: string, options: CallOptions = {}): Promise<NodeView> {
    return this.#transport.json(`/v1/nodes/${encodeURIComponent(id)}/drain`, { method: 'POST', ...options })
  }

  /** One that was drained is invited again, to rounds that open from now on. */
  resume(id: string, options: CallOptions = {}): Promise<NodeView> {
    return this.#transport.json(`/v1/nodes/${encodeURIComponent(id)}/resume`, { method: 'POST', ...options })
  }

  datasets(options: ListOptions = {}): Listing<DatasetView> {
    return new Listing(this.#transport, '/v1/datasets', options, same)
  }
}
