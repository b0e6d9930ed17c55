/** What whoever runs a machine wants of its node, and how its power is, whatever the rounds are at. */
export type Signals = {
  /** Its operator needs the machine for a while. */
  readonly paused: boolean
  /** It is to end once its seat is done, as a switch says that may be taken back. */
  readonly draining: boolean
  /** The same, for good: its process was told to end. */
  readonly ending: boolean
  /** An emergency. */
  readonly stopped: boolean
  readonly onBattery: boolean
}

export type HeldBack = 'stopped' | 'on-battery' | 'draining' | 'paused'

/** What a node may do. */
export type Conduct = {
  /** The gravest of what keeps it from doing anything; undefined: it is free. A name that a coordinator may be told. */
  readonly heldBack: HeldBack | undefined
  /** To take seats that it has not got. */
  readonly joins: boolean
  /** To go on with what it trains. */
  readonly trains: boolean
  /** To keep a seat that it has not given anything for, whether it trains just now or not. */
  readonly works: boolean
  /** To hold a session's secrets and to answer in it: a round of the others needs that of whoever gave an input. */
  readonly answers: boolean
  /** It ends as soon as it has no seat. */
  readonly ends: boolean
}

/** Each signal forbids something, and none allows what another one forbids. */
export function conductFor({ paused, draining, ending, stopped, onBattery }: Signals): Conduct {
  const ends = draining || ending
  return {
    heldBack: stopped ? 'stopped' : onBattery ? 'on-battery' : ends ? 'draining' : paused ? 'paused' : undefined,
    joins: !stopped && !onBattery && !ends && !paused,
    trains: !stopped && !onBattery && !paused,
    works: !stopped && !onBattery,
    answers: !stopped,
    ends,
  }
}

export const UNHINDERED: Signals = { paused: false, draining: false, ending: false, stopped: false, onBattery: false }
/** Where nobody holds a node back. */
export const FREE = conductFor(UNHINDERED)

/** How a node is to behave now, and word to whoever has to change something when that changes. */
export class Supervision {
  #signals = UNHINDERED
  #conduct = conductFor(UNHINDERED)
  readonly #watchers = new Set<(conduct: Conduct) => void>()

  get conduct(): Conduct {
    return this.#conduct
  }

  change(signals: Partial<Signals>): void {
    const before = this.#conduct
    this.#signals = { ...this.#signals, ...signals }
    this.#conduct = conductFor(this.#signals)
    if (!isSame(before, this.#conduct)) for (const watcher of [...this.#watchers]) watcher(this.#conduct)
  }

  /** Until it behaves so; at once, where it does. Throws the signal's reason. */
  async until(is: (conduct: Conduct) => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    using _ = this.watch((conduct) => void (is(conduct) && resolve()))
    await promise.finally(() => signal.removeEventListener('abort', abort))
  }

  /** Tells it how things stand, at once and whenever that changes. */
  watch(watcher: (conduct: Conduct) => void): Disposable {
    this.#watchers.add(watcher)
    watcher(this.#conduct)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }
}

function isSame(before: Conduct, after: Conduct): boolean {
  return (Object.keys(after) as (keyof Conduct)[]).every((key) => before[key] === after[key])
}
