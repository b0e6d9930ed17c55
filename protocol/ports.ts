import type { Architecture } from './architecture.ts'
import type { Block } from './envelope.ts'
import type { Amount, Bytes, Cid, Millis, NodeId, OperatorId, RunId } from './ids.ts'
import type { Task } from './task.ts'

/** The doors: every contact with the world. Each has an in-memory adapter, a real one, and one conformance suite. */

/** Time. Core code never calls Date.now(); it is told when things happened. */
export interface Clock {
  now(): Millis
  /** Resolves at `at`, or at once when it has passed; rejects with the signal's reason when aborted. */
  wakeAt(at: Millis, signal: AbortSignal): Promise<void>
}

export type ByteRange = { readonly offset?: number; readonly length?: number; readonly limitBytes: number }

/**
 * Immutable bytes by content, under the UnixFS profile unixfs-v1-2025: up to 1 MiB is one block (raw, unless put as
 * DAG-CBOR), more is a balanced tree of raw leaves. `get` verifies every block it passes on.
 */
export interface BlobStore {
  /**
   * Stores the bytes durably and answers their CID. Keeps nothing and throws {@link BlobTooLarge} past `limitBytes`,
   * {@link BlobCorrupt} when the bytes are not those of `expected`, and whatever the source or the signal throws.
   */
  put(source: AsyncIterable<Bytes>, limitBytes: number, signal?: AbortSignal, expected?: Cid): Promise<Cid>
  /**
   * Blocks as they are (a manifest, a seal with its body), each a blob of its own: all of them durable when it answers,
   * or none. A CID must be its block's hash, or this throws {@link BlobCorrupt}.
   */
  putBlocks(blocks: readonly Block[]): Promise<void>
  /** Throws {@link BlobMissing}, {@link BlobCorrupt}, or {@link BlobTooLarge} when the whole is larger than `limitBytes`. */
  get(cid: Cid, range: ByteRange, signal?: AbortSignal): AsyncIterable<Bytes>
  /** One block's own bytes, of any codec, not the file under it. Throws as `get` does. */
  getBlock(cid: Cid, limitBytes: number): Promise<Bytes>
  /** True when every block of the blob is here: the parts of a file. What a manifest links to are other blobs. */
  has(cid: Cid): Promise<boolean>
  /** Forgets the blob; blocks that it shares with others stay readable through them. Missing is no error. */
  delete(cid: Cid): Promise<void>
}

/** A store that also takes a blob in parts, over as many connections and days as that needs. */
export interface PartsStore extends BlobStore {
  /**
   * Keeps blocks of a blob for a while: durable when it answers, readable, and none of them a blob by itself. From `until` on
   * they may be forgotten, unless the blob is finished by then. Blocks are checked as by `putBlocks`.
   */
  putParts(blob: Cid, blocks: readonly Block[], until: Millis): Promise<void>
  /**
   * The blob is put, if all its blocks are here: its parts are its own from then on. Throws {@link BlobCorrupt} where one is
   * not as large as its parent says. @returns whether they are here
   */
  finish(blob: Cid): Promise<boolean>
  /** Forgets parts whose time is over, but for those that a blob needs. @returns their bytes */
  sweep(now: Millis): Promise<number>
}

/** A store that somebody else keeps, at the other end of a line. */
export interface RemoteStore extends BlobStore {
  /**
   * Gives it a blob that lies in a store of ours, a block at a time: it is a blob there, and durable, when this answers; what
   * was there already is not sent. Throws what `put` does, and {@link BlobMissing} where it does not lie in ours.
   */
  send(from: Pick<BlobStore, 'getBlock'>, cid: Cid, signal?: AbortSignal): Promise<void>
}

export class BlobMissing extends Error {
  override name = 'BlobMissing'
}
export class BlobCorrupt extends Error {
  override name = 'BlobCorrupt'
}
export class BlobTooLarge extends Error {
  override name = 'BlobTooLarge'
}
/** The disk or the quota is full: a fault of the world, the caller may try later. */
export class StorageFull extends Error {
  override name = 'StorageFull'
}

/** Append-only streams. Writes from `position` on or reports that somebody already did; never overwrites. */
export interface EventLog {
  /**
   * Appends the entries, in their order, all or none of them: `conflict` when the stream's length is not `position`.
   * Durable when it answers. A stream's name is 1 to 200 visible ASCII characters, the entries are 1 to LOG_APPEND_MAX,
   * each at most LOG_ENTRY_BYTES_MAX; anything else is our own mistake.
   *
   * @throws {StorageFull} where there is no room: nothing was appended
   */
  append(stream: string, position: number, entries: readonly Bytes[]): Promise<'appended' | 'conflict'>
  read(stream: string, from?: number): AsyncIterable<Bytes>
  /** The stream's length: 0 for one that does not exist. */
  head(stream: string): Promise<number>
  /** Names of streams that start with `prefix`, ascending. */
  streams(prefix: string): AsyncIterable<string>
}

/** A log that several processes write: whoever is behind gets `conflict`, reads on, and judges again. */
export interface SharedLog extends EventLog {
  /**
   * Names of streams as they are lengthened, by whichever process. Some may be missed (a link that was down) and some
   * told twice, so whoever listens also looks at the heads now and then.
   */
  news(signal: AbortSignal): AsyncIterable<string>
}

/** What the entries of a stream before `position` amount to, as its owner encodes it. */
export type Snapshot = { readonly position: number; readonly state: Bytes }

/** Shortcuts through long streams. All of them may be lost at any time: the log has everything they say. */
export interface Snapshots {
  latest(stream: string): Promise<Snapshot | undefined>
  /** Keeps it unless a later one is kept. A state is at most SNAPSHOT_BYTES_MAX. */
  keep(stream: string, snapshot: Snapshot): Promise<void>
}

/**
 * Which nodes are linked, to whichever of the processes that share it. A process that dies is found out after a while,
 * and its nodes are then linked nowhere, unless they have come back to another one.
 */
export interface Presence extends AsyncDisposable {
  /** The node's newest link is one to this process; what others say of an older link counts no more. */
  arrived(node: NodeId): Promise<void>
  /** Its link to this process is gone. @returns whether it was the newest, so that the node is linked nowhere now */
  departed(node: NodeId): Promise<boolean>
  has(node: NodeId): Promise<boolean>
  /** Ascending. */
  nodes(): Promise<readonly NodeId[]>
  count(): Promise<number>
  /** Nodes that had a link to this process, not departed yet, and have a newer one to another. Ascending. */
  moved(): Promise<readonly NodeId[]>
  /** Nodes that were linked to processes found dead since, and are linked nowhere: each is told to one caller, once. */
  orphans(): Promise<readonly NodeId[]>
}

/** At-least-once work. An id (`[A-Za-z0-9_-]+`) is one job while it waits or runs; once finished it may be pushed again. */
export interface Queue<Job> {
  push(id: string, job: Job): Promise<void>
  /** A handler that throws is tried again later, with growing pauses. Disposing waits for the running ones. */
  work(handler: (job: Job, signal: AbortSignal) => Promise<void>): AsyncDisposable
}

export type Frame = { readonly from: NodeId; readonly frame: Bytes }
/** A node linked, unlinked, or said something. `left` comes after the grace time for reconnecting. */
export type LinkEvent =
  | { readonly kind: 'linked' | 'left'; readonly node: NodeId }
  | ({ readonly kind: 'frame' } & Frame)

/** Small signed frames, the coordinator's side. Pulled, not pushed at us: we run at our own pace. */
export interface CoordinatorTransport extends AsyncDisposable {
  /** At most once; a node that is away gets nothing. */
  send(to: NodeId, frame: Bytes): Promise<void>
  linked(): readonly NodeId[]
  events(signal: AbortSignal): AsyncIterable<LinkEvent>
}

/** The node's side: a link that comes back by itself. `linked` says when to say again what may have been lost. */
export interface ClientTransport extends AsyncDisposable {
  send(frame: Bytes): Promise<void>
  events(
    signal: AbortSignal,
  ): AsyncIterable<{ readonly kind: 'linked' } | { readonly kind: 'frame'; readonly frame: Bytes }>
}

/** What a pinning service may be asked to keep. */
export type PinRequest = {
  readonly cid: Cid
  /** For people to read; nothing goes by it. */
  readonly name: string | null
  /** Multiaddrs of peers that have the blocks, at most 20. */
  readonly origins: readonly string[]
  readonly meta: Readonly<Record<string, string>>
}
export type PinStatus = 'queued' | 'pinning' | 'pinned' | 'failed'
export type Pin = {
  /** The service's name for the request: nothing else tells two requests for one CID apart. */
  readonly id: string
  readonly cid: Cid
  readonly status: PinStatus
  /** Multiaddrs of the service's peers, which want to be dialled by whoever has the blocks. */
  readonly delegates: readonly string[]
}

/** Somebody who keeps blocks for us and under whom everything lies that a root links to: IPFS Pinning Service API 1.0.0. */
export interface PinningService {
  /** Asks for it. A service that has such a request already may answer that one. */
  add(request: PinRequest): Promise<Pin>
  get(id: string): Promise<Pin | undefined>
  /** All requests for these CIDs, at most 10, whatever their status. */
  find(cids: readonly Cid[]): Promise<readonly Pin[]>
  /** Missing is no error. */
  remove(id: string): Promise<void>
}

export type Payout = { readonly payee: OperatorId; readonly amount: Amount }

/** Money in two phases, idempotent by id: a repeat is a no-op, not a second payment. A repeat that differs throws. */
export interface Settlement {
  hold(id: string, run: RunId, amount: Amount): Promise<void>
  post(id: string, run: RunId, payouts: readonly Payout[]): Promise<void>
  release(id: string, run: RunId, amount: Amount): Promise<void>
}

export type TrainingTask = {
  readonly task: Task
  readonly architecture: Architecture
  readonly purpose: 'train' | 'evaluate'
  /** 32 bytes each. */
  readonly shuffleSeed: Bytes
  readonly holdoutSeed: Bytes
  /** At most this many held-out rows count, so that no evaluation lane can overflow. */
  readonly evaluationRowsMax: number
  /**
   * SCAFFOLD's c − c_i, of every trainable weight: added to each gradient. For plain SGD alone. No plan asks for it yet: the
   * coordinator's c and what a site keeps of its c_i are no part of this protocol's version.
   */
  readonly correction?: Float32Array
}

export type LocalUpdate = {
  /** Trained minus incoming weights, in the order of the model's tensors; empty in an `evaluate` round. */
  readonly delta: Float32Array
  /** Rows trained on. */
  readonly examples: number
  /** The incoming model on this site's held-out rows. */
  readonly evaluation: {
    readonly rows: number
    readonly correct: number
    readonly lossSumNats: number
    /** Where the task asks for metrics: what they are worked out from, as its scoring has it (`aggregation/metrics`). */
    readonly tallies?: readonly Float64Array[]
  }
  /** Without what it was held up. */
  readonly trainMillis: Millis
  /** Where a correction came in: the site's control variate from now on. It tells as much about its data as the delta does. */
  readonly control?: Float32Array
}

export type TrainProgress = {
  readonly epoch: number
  readonly epochs: number
  readonly loss: number
  /** Where the site has more labelled rows than the task takes: how many it takes, of how many. */
  readonly sample?: { readonly rows: number; readonly of: number }
}

/** Local learning. The data stays behind this door; only the delta comes out. */
export interface TrainerBackend extends AsyncDisposable {
  readonly backend: string
  /** @param model all weights, float32, in the order of the model's tensors. Throws {@link TrainingRefused} or the world's faults. */
  fit(
    model: Float32Array,
    task: TrainingTask,
    signal: AbortSignal,
    progress?: (at: TrainProgress) => void,
  ): Promise<LocalUpdate>
}

/** This node cannot do this task: the reason is for the coordinator and the node's operator, and names no data. */
export class TrainingRefused extends Error {
  override name = 'TrainingRefused'
  readonly reason: string
  constructor(reason: string, detail: string) {
    super(`${reason}: ${detail}`)
    this.reason = reason
  }
}
