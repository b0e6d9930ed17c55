import { Listing, type ListOptions, same } from './listing.ts'
import type { Transport } from './transport.ts'
import type { BalanceView, ReceiptView } from './views/payments.ts'

/** Who was paid what, over all runs. A round's receipts are its run's. */
export class Payments {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The newest round first; of a run, or to a node, where they are named. */
  list({ run, node, ...options }: ListOptions & { readonly run?: string; readonly node?: string } = {}) {
    return new Listing<ReceiptView>(this.#transport, '/v1/payouts', { ...options, query: { run, node } }, same)
  }

  /** What each node has earned. */
  balances(options: ListOptions = {}): Listing<BalanceView> {
    return new Listing(this.#transport, '/v1/balances', options, same)
  }
}
