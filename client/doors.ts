import type { Chance } from '#aggregation/secagg/states.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import type { ModelManifest } from '#protocol/manifest.ts'
import type { BlobStore, ClientTransport, Clock, EventLog, RemoteStore, TrainerBackend } from '#protocol/ports.ts'
import type { Statistician } from './asking.ts'
import type { Supervision } from './conduct.ts'
import type { Measures, OwnWord } from './measuring.ts'
import type { Policy } from './policy.ts'
import type { Sequence } from './sequence.ts'
import type { SiteTerms } from './site.ts'

/** What a node's core needs of the world. */
export type ClientDoors = {
  readonly transport: ClientTransport
  readonly blobs: RemoteStore
  /** Masked vectors of earlier rounds that only members of the run may read. */
  readonly withheld: BlobStore
  readonly trainer: TrainerBackend
  /** Absent where the node answers no questions. */
  readonly statistician?: Statistician | undefined
  /** Absent where the node neither says what it can do nor lets it be checked. */
  readonly measures?: Measures | undefined
  /** What it says of its data whenever it has linked; absent where nobody asked for that. */
  readonly published?: OwnWord | undefined
  readonly clock: Clock
  readonly signer: Signer
  /** 32 bytes, the root of the node's private randomness. */
  readonly secret: Bytes
  /** Secrets of one session each: never drawn from anything that could give them again. */
  readonly chance: Chance
  /** The pinned coordinator: nobody else is listened to. */
  readonly coordinator: NodeId
  readonly sequence: Sequence
  readonly policy: Policy
  /** What the site insists on in masked rounds. */
  readonly site: SiteTerms
  /** What was said in masked rounds, and which inputs were given. */
  readonly journal: EventLog
  /** Masked vectors until their round is over. */
  readonly outbox: BlobStore
  /** Hears whose weights are read next. Of one architecture, a model is made from the one before it. */
  readonly expectModel?: ((model: ModelManifest) => void) | undefined
  /** Whoever runs the machine; absent where nobody interferes. */
  readonly supervision?: Supervision | undefined
  /** Hands the upload ticket of the seat to the blob store. */
  readonly useTicket: (ticket: string) => void
}
