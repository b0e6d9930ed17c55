import type { Earned } from '#payments/ledger.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { NodeId, RunId } from '#protocol/ids.ts'
import type { BlobStore, Clock, Presence } from '#protocol/ports.ts'
import type { ApiKeys } from '../api-keys.ts'
import type { Audit } from '../audit.ts'
import type { Bounds } from '../bounds.ts'
import type { Capabilities } from '../capabilities.ts'
import type { Claims } from '../claims.ts'
import type { Counters } from '../counters.ts'
import type { Curves } from '../curves.ts'
import type { Datasets } from '../datasets.ts'
import type { Drains } from '../drains.ts'
import type { Eligibility } from '../eligibility.ts'
import type { Federations } from '../federations.ts'
import type { Inquiries } from '../inquiries.ts'
import type { Labels } from '../labels.ts'
import type { Orders } from '../orders.ts'
import type { Paces } from '../paces.ts'
import type { Pins } from '../pins.ts'
import type { Publications } from '../publications.ts'
import type { Provider } from '../publisher.ts'
import type { Readiness } from '../readiness.ts'
import type { Retention } from '../retention.ts'
import type { Runner } from '../runner.ts'
import type { SignIns } from '../sign-ins.ts'
import type { SignOuts } from '../sign-outs.ts'
import type { Tasks } from '../tasks.ts'
import type { Verifications } from '../verifications.ts'
import type { LendDoors } from './lend.ts'
import type { PageDoors } from './pages.ts'
import type { WebhookDoors } from './webhooks.ts'

/** What the API opens on. */
export type ApiDoors = {
  readonly runner: Runner
  readonly claims: Claims
  readonly pins: Pins
  readonly tasks: Tasks
  readonly orders: Orders
  readonly labels: Labels
  readonly curves: Curves
  readonly verifications: Verifications
  /** What runs have paid, to whom. */
  readonly earned: (runs: (run: RunId) => boolean) => Promise<ReadonlyMap<NodeId, Earned>>
  /** Its own key. */
  readonly coordinator: NodeId
  /** Multiaddrs of peers of ours that take blocks from whoever has them, at least one. */
  readonly delegates: () => readonly string[]
  readonly publishing: {
    readonly publications: Publications
    readonly providers: readonly Provider[]
    readonly quorum: number
  }
  readonly readiness: Readiness
  readonly clock: Clock
  readonly blobs: BlobStore
  readonly counters: Counters
  readonly retention: Retention
  /** SHA-256 of the root key. */
  readonly keyHash: Uint8Array
  readonly keys: ApiKeys
  readonly signIns: SignIns
  readonly signOuts: SignOuts
  readonly audit: Audit
  /** Who is linked to any process. */
  readonly presence: Presence
  readonly capabilities: Capabilities
  readonly paces: Paces
  readonly federations: Federations
  readonly eligibility: Eligibility
  readonly drains: Drains
  readonly datasets: Datasets
  /** Asks nodes what they would make of a plan, under the coordinator's seal. */
  readonly inquiries: Inquiries
  readonly signer: Signer
  readonly newRunId: () => RunId
  readonly version: string
  /** Fires when the coordinator drains: open event streams end. */
  readonly closing: AbortSignal
  readonly bounds: Bounds
  /** More to do than can be done: nothing new is launched. */
  readonly isOverloaded: () => boolean
  readonly webhooks: WebhookDoors
  /** What lends a browser, where any node may link. */
  readonly lend?: LendDoors | undefined
  /** What people see at `/`. */
  readonly dashboard?: PageDoors | undefined
}
