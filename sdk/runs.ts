import { RunNotCompleted } from './errors.ts'
import { type FollowOptions, follow } from './follow.ts'
import { Listing, type ListOptions } from './listing.ts'
import { type DownloadedModel, downloadModel, type ModelOptions } from './model.ts'
import { type ApiEvent, isLast } from './sse.ts'
import type { CreateRun } from './task.ts'
import type { CallOptions, CreateOptions, Transport } from './transport.ts'
import type {
  DryRunView,
  MetricsView,
  ReceiptView,
  RoundView,
  RoundWithSeatsView,
  RunView,
  VerificationView,
} from './views.ts'

/** The runs of a coordinator. */
export class Runs {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async create(order: CreateRun, options: CreateOptions = {}): Promise<Run> {
    const view = await this.#transport.json<RunView>(ROOT, { method: 'POST', json: order, ...options })
    return new Run(this.#transport, view)
  }

  /** What would become of it: who would take it, what it costs, how much moves. Nothing does. */
  dryRun(order: CreateRun, options: CallOptions = {}): Promise<DryRunView> {
    return this.#transport.json(`${ROOT}/dry-run`, { method: 'POST', json: order, ...options })
  }

  /** @param id or a start of it that no other run has */
  async get(id: string, options: CallOptions = {}): Promise<Run> {
    return new Run(this.#transport, await this.#transport.json<RunView>(of(id), options))
  }

  /** The newest first. */
  list(options: ListOptions = {}): Listing<Run, RunView> {
    return new Listing(this.#transport, ROOT, options, (view) => new Run(this.#transport, view))
  }

  async pause(id: string, reason: string, options: CreateOptions = {}): Promise<Run> {
    return (await this.get(id, options)).pause(reason, options)
  }

  async resume(id: string, options: CreateOptions = {}): Promise<Run> {
    return (await this.get(id, options)).resume(options)
  }

  async stop(id: string, reason: string, options: CreateOptions = {}): Promise<Run> {
    return (await this.get(id, options)).stop(reason, options)
  }

  async extend(id: string, more: Extension, options: CreateOptions = {}): Promise<Run> {
    return (await this.get(id, options)).extend(more, options)
  }
}

/** What is added to what a run was ordered with. @property budget micro-credits, as decimal text */
export type Extension = { readonly rounds: number; readonly budget?: string }

/** One run, as it was last seen: what it can be asked and told. */
export class Run {
  readonly id: string
  readonly view: RunView
  readonly #transport: Transport

  constructor(transport: Transport, view: RunView) {
    this.#transport = transport
    this.id = view.id
    this.view = view
  }

  /** As it is now. */
  async refresh(options: CallOptions = {}): Promise<Run> {
    return this.#as(await this.#transport.json<RunView>(of(this.id), options))
  }

  /** What happened and happens, each event once, to the end of the run. */
  events(options: FollowOptions = {}): AsyncIterable<ApiEvent> {
    return follow(this.#transport, this.id, options)
  }

  /**
   * Waits for its end. @returns it as it ended. Throws {@link RunNotCompleted} where it failed, was stopped, or is paused and
   * waits for its owner; the signal's reason where that fires.
   */
  async done({ signal }: CallOptions = {}): Promise<Run> {
    for await (const event of this.events({ signal })) {
      if (!isLast(event) && event.type !== 'run.paused') continue
      const now = await this.refresh({ signal })
      if (now.view.status === 'completed') return now
      // It may have been resumed since.
      if (now.view.status !== 'paused' && !isLast(event)) continue
      throw new RunNotCompleted(now.id, now.view.status, now.view.reason)
    }
    signal?.throwIfAborted()
    throw new RunNotCompleted(this.id, 'gone', 'its events ended before it did')
  }

  rounds(options: Omit<ListOptions, 'after'> & { readonly after?: string } = {}): Listing<RoundView> {
    return new Listing(this.#transport, `${of(this.id)}/rounds`, options, (view: RoundView) => view)
  }

  round(round: number, options: CallOptions = {}): Promise<RoundWithSeatsView> {
    return this.#transport.json(`${of(this.id)}/rounds/${round}`, options)
  }

  /** Curves, as columns. @property downsample the most rounds to tell of */
  metrics({ keys, downsample, signal }: MetricsOptions = {}): Promise<MetricsView> {
    const query = { keys: keys?.join(','), downsample }
    return this.#transport.json(`${of(this.id)}/metrics`, { query, signal })
  }

  receipts(round: number, options: ListOptions = {}): Listing<ReceiptView> {
    return new Listing(this.#transport, `${of(this.id)}/rounds/${round}/receipts`, options, (view: ReceiptView) => view)
  }

  /** Its model, or that of one of its rounds, checked against its CID before it is handed over. */
  model(options: ModelOptions = {}): Promise<DownloadedModel> {
    return downloadModel(this.#transport, this.id, options)
  }

  /**
   * Has the coordinator redo the record, as `consilium verify` does. It is the coordinator's word: whoever does not take it
   * downloads the {@link bundle} and verifies that.
   */
  async verify(options: CreateOptions = {}): Promise<VerificationView> {
    const path = `${of(this.id)}/verification`
    const { signal } = options
    let made = await this.#transport.json<VerificationView>(path, { method: 'POST', timeoutMs: 0, ...options })
    while (made.verdict === 'running') {
      await this.#transport.doors.pause(ASKED_AGAIN_MILLIS, signal)
      made = await this.#transport.json<VerificationView>(path, { signal })
    }
    return made
  }

  /** The record of the run once it has ended, or of one of its rounds, as one CAR file. */
  async bundle({
    round,
    vectors = true,
    signal,
  }: BundleOptions = {}): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const query = { round, vectors: vectors ? undefined : 'no' }
    const { body } = await this.#transport.fetch(`${of(this.id)}/bundle`, { query, signal })
    return body ?? new Blob([]).stream()
  }

  pause(reason: string, options: CreateOptions = {}): Promise<Run> {
    return this.#order('pause', { reason }, options)
  }

  resume(options: CreateOptions = {}): Promise<Run> {
    return this.#order('resume', undefined, options)
  }

  /** Ends it before it is done, with its record. */
  stop(reason: string, options: CreateOptions = {}): Promise<Run> {
    return this.#order('stop', { reason }, options)
  }

  extend(more: Extension, options: CreateOptions = {}): Promise<Run> {
    return this.#order('extend', more, options)
  }

  async #order(verb: string, json: object | undefined, options: CreateOptions): Promise<Run> {
    const path = `${of(this.id)}/${verb}`
    return this.#as(await this.#transport.json<RunView>(path, { method: 'POST', json, ...options }))
  }

  #as(view: RunView): Run {
    return new Run(this.#transport, view)
  }
}

type MetricsOptions = CallOptions & { readonly keys?: readonly string[]; readonly downsample?: number }
export type BundleOptions = CallOptions & { readonly round?: number | undefined; readonly vectors?: boolean }

const ROOT = '/v1/runs'
/** A record that is long takes so many of these. */
const ASKED_AGAIN_MILLIS = 1000

function of(id: string): string {
  return `${ROOT}/${encodeURIComponent(id)}`
}
