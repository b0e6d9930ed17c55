import { Listing, same } from './listing.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { ProviderView, PublicationsPageView } from './views/publications.ts'

/** What other people's pinning services have of the runs. */
export class Publications {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The newest first, in one page. */
  list({
    run,
    limit,
    signal,
  }: CallOptions & { readonly run?: string; readonly limit?: number } = {}): Promise<PublicationsPageView> {
    return this.#transport.json('/v1/publications', { query: { run, limit }, signal })
  }

  /** The services, each asked now. */
  providers(options: CallOptions = {}): Listing<ProviderView> {
    return new Listing(this.#transport, '/v1/pin-providers', options, same)
  }
}
