import { Listing, type ListOptions, same } from './listing.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { DatasetView, NodeView, NodeWithHistoryView } from './views/nodes.ts'

/** The nodes, and what they say in public of their data. */
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

  datasets(options: ListOptions = {}): Listing<DatasetView> {
    return new Listing(this.#transport, '/v1/datasets', options, same)
  }
}
