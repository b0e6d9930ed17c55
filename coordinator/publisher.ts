import type { Cid, Millis } from '#protocol/ids.ts'
import { PIN_CIDS_MAX } from '#protocol/pinning.ts'
import type { Clock, Pin, PinningService, PinStatus } from '#protocol/ports.ts'
import type { Duty } from './keeper.ts'
import {
  isPublished,
  type Publication,
  type PublicationRule,
  type Publications,
  type Wanted,
  wantedOf,
} from './publications.ts'
import type { Run } from './run.ts'

/** A pinning service of the operator's choice. */
export type Provider = {
  readonly name: string
  readonly service: PinningService
  /** Its queue takes hours: it is asked less often. */
  readonly slow: boolean
}

export type PublisherDoors = PublicationRule & {
  readonly publications: Publications
  /** Every run, the oldest first. */
  readonly runs: () => readonly Run[]
  readonly clock: Clock
  /** Multiaddrs of peers of ours that have the blocks. */
  readonly origins: () => readonly string[]
  /** Lets our peers dial those of a provider, which wait for the blocks. */
  readonly connect: (delegates: readonly string[]) => Promise<void>
  /** Told when a provider does not do it, at most once for each pause. */
  readonly failed: (cause: unknown) => void
}

/** New requests in one turn: a provider that is slow, or new to many runs, is not kept busy for hours. */
const TURN_REQUESTS = 20
/** How often a request is asked after that is not pinned, and one that is: providers lose things. */
const LOOK_MILLIS: Millis = 60_000
const SLOW_LOOK_MILLIS: Millis = 600_000
const PINNED_LOOK_MILLIS: Millis = 86_400_000
/** Before a request is made again that failed, or that the provider has lost. */
const FAILED_PAUSE_MILLIS: Millis = 3_600_000
/** A record that still waits in the queue is not followed by the next one before: rounds may close faster than it moves. */
const QUEUE_MILLIS: Millis = 3_600_000
/** While a provider fails: growing from one to the other. */
const PAUSE_MILLIS: Millis = 30_000
const PAUSE_MILLIS_MAX: Millis = 3_600_000

/**
 * Sees to it that one provider has what is to be published and nothing else of ours. Every turn goes by what the log says and
 * what the provider says, so it may break off anywhere and be done twice. A provider that fails has pauses that grow, and
 * holds up neither a round nor another provider.
 */
export function publishing(provider: Provider, doors: PublisherDoors): Duty {
  const publisher = new Publisher(provider, doors)
  return { name: `publish at ${provider.name}`, everyMillis: PAUSE_MILLIS, perform: (signal) => publisher.turn(signal) }
}

class Publisher {
  readonly #provider: Provider
  readonly #doors: PublisherDoors
  /** When each request was asked after, in this process. */
  readonly #looks = new Map<string, Millis>()
  #failures = 0
  #pausedUntil: Millis = 0

  constructor(provider: Provider, doors: PublisherDoors) {
    this.#provider = provider
    this.#doors = doors
  }

  async turn(signal: AbortSignal): Promise<void> {
    const { clock, failed } = this.#doors
    if (clock.now() < this.#pausedUntil) return
    try {
      await this.#publish(signal)
      this.#failures = 0
    } catch (cause) {
      if (signal.aborted) return
      const { retryAfterMillis = 0 } = cause as { readonly retryAfterMillis?: Millis }
      const pause = Math.min(PAUSE_MILLIS_MAX, PAUSE_MILLIS * 2 ** Math.min(this.#failures++, 10))
      this.#pausedUntil = clock.now() + Math.max(pause, retryAfterMillis)
      failed(new Error(`${this.#provider.name} does not pin`, { cause }))
    }
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const now = this.#doors.clock.now()
    const runs = this.#doors.runs()
    const wanted = (await Promise.all(runs.map((run) => wantedOf(run, this.#doors, now)))).flat()
    await this.#lookAfter(now, signal)
    const ours = await this.#ours()
    const missing = wanted.filter(
      (want) => !ours.some((one) => isFor(one, want) && (isEnough(one, want) || isOnItsWay(one, now))),
    )
    for (let at = 0; at < Math.min(missing.length, TURN_REQUESTS) && !signal.aborted; at += PIN_CIDS_MAX)
      await this.#request(missing.slice(at, Math.min(at + PIN_CIDS_MAX, TURN_REQUESTS)), now)
    await this.#letGo(runs, wanted, signal)
  }

  /** What the provider says of the requests that it is time to ask after. */
  async #lookAfter(now: Millis, signal: AbortSignal): Promise<void> {
    const due = (await this.#ours()).filter((one) => now >= (this.#looks.get(one.request) ?? 0) + this.#lookMillis(one))
    for (let at = 0; at < due.length && !signal.aborted; at += PIN_CIDS_MAX) {
      const some = due.slice(at, at + PIN_CIDS_MAX)
      const told = await this.#find(some)
      for (const one of some) {
        this.#looks.set(one.request, now)
        const pin = told.find(({ id, cid }) => id === one.request && cid === one.cid)
        await this.#hear(one, pin?.status ?? 'failed')
      }
    }
  }

  async #hear(one: Publication, status: PinStatus): Promise<void> {
    // It has had its pause, and is asked for anew.
    if (one.status === 'failed') return this.#drop(one)
    // Between the steps of a queue nothing is worth an entry, and a provider that goes to and fro writes none.
    if (status === 'pinned' || status === 'failed' || one.status === 'pinned')
      await this.#doors.publications.tell({ ...one, status })
  }

  /** Asks for what is wanted, after what the provider has already: a process may have died between its request and the log. */
  async #request(wanted: readonly Wanted[], now: Millis): Promise<void> {
    const { publications, origins, connect, failed } = this.#doors
    const { name: provider, service } = this.#provider
    const known = await this.#find(wanted)
    for (const want of wanted) {
      const { run, what, cid } = want
      const pin =
        known.find((other) => other.cid === cid && other.status !== 'failed') ??
        (await service.add({ cid, name: `${run} ${what}`, origins: origins(), meta: { app: 'consilium', run, what } }))
      const told = { ...want, provider, request: pin.id, status: pin.status, at: now }
      const standing = await publications.tell(told)
      this.#looks.set(standing.request, now)
      // Another process was faster: of two requests for one thing the one that is not written down goes.
      if (standing.request !== pin.id && !(await this.#ours()).some(({ request }) => request === pin.id))
        await service.remove(pin.id)
      if (pin.status !== 'pinned') await connect(pin.delegates).catch(failed)
    }
  }

  /**
   * What nobody wants any more: once a later request that stands in its place is pinned, or its run is over. Another process
   * may know more of a run than this one, so what is only unheard of here stays.
   */
  async #letGo(runs: readonly Run[], wanted: readonly Wanted[], signal: AbortSignal): Promise<void> {
    const isOver = (run: Run) => run.phase === 'ended' || !isPublished(run, this.#doors)
    const over = new Set(runs.filter(isOver).map(({ spec }) => spec.run))
    const ours = await this.#ours()
    for (const one of ours) {
      if (signal.aborted) return
      const next = wanted.find((want) => isFor(one, want))
      if (next && isEnough(one, next)) continue
      const replaced = ours.some((other) => isFor(other, one) && other.place > one.place && other.status === 'pinned')
      if (next ? replaced : over.has(one.run)) await this.#drop(one)
    }
  }

  /** Lets a request go, unless it stands for something else as well. */
  async #drop(one: Publication): Promise<void> {
    const others = (await this.#ours()).filter(({ request, run, what }) => {
      return request === one.request && !(run === one.run && what === one.what)
    })
    if (others.length === 0) await this.#provider.service.remove(one.request)
    await this.#doors.publications.drop(one)
    if (others.length === 0) this.#looks.delete(one.request)
  }

  #find(things: readonly { readonly cid: Cid }[]): Promise<readonly Pin[]> {
    return this.#provider.service.find([...new Set(things.map(({ cid }) => cid))])
  }

  #ours(): Promise<readonly Publication[]> {
    return this.#doors.publications.select(({ provider }) => provider === this.#provider.name)
  }

  #lookMillis({ status }: Publication): Millis {
    if (status === 'pinned') return PINNED_LOOK_MILLIS
    if (status === 'failed') return FAILED_PAUSE_MILLIS
    return this.#provider.slow ? SLOW_LOOK_MILLIS : LOOK_MILLIS
  }
}

/** The same of the same run, of whatever round. */
function isFor(one: Wanted, { run, what }: Wanted): boolean {
  return one.run === run && one.what === what
}

function isEnough({ cid, place }: Wanted, want: Wanted): boolean {
  return cid === want.cid || place > want.place
}

function isOnItsWay({ status, at }: Publication, now: Millis): boolean {
  return (status === 'queued' || status === 'pinning') && now < at + QUEUE_MILLIS
}
