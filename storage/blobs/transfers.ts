import type { IncomingMessage } from 'node:http'
import type { Millis } from '#protocol/ids.ts'
import { holderOf, Places, type PlacesRule } from '#protocol/places.ts'
import type { Clock } from '#protocol/ports.ts'
import { type Pace, watchPace } from './pace.ts'

export type TransferLimits = {
  readonly places: PlacesRule
  /** How often a transfer is looked at: one on which nothing moved is dropped after at most twice this. */
  readonly idleMillis: Millis
  /** The least that a transfer has to move. */
  readonly leastBytesPerSecond: number
  /** The same while others are turned away: whoever is slower than this makes room, and may come again. */
  readonly pressedBytesPerSecond: number
}

/** The uploads, or the downloads, that are under way: each in a place of its own, of which an address has its share. */
export class Transfers {
  readonly #clock: Clock
  readonly #limits: TransferLimits
  readonly #places: Places
  #turnedAwayAt: Millis | undefined

  constructor(clock: Clock, limits: TransferLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#places = new Places(limits.places)
  }

  get size(): number {
    return this.#places.taken
  }

  /** Undefined where there is no place, before anything is read. */
  begin({ socket }: IncomingMessage): Transfer | undefined {
    const place = this.#places.take(holderOf(socket.remoteAddress))
    if (!place) {
      if (this.#places.isFull) this.#turnedAwayAt = this.#clock.now()
      return undefined
    }
    const pace = watchPace(this.#clock, this.#limits.idleMillis, () => this.#leastBytesPerSecond())
    return {
      pace,
      [Symbol.dispose]() {
        pace.stop()
        place[Symbol.dispose]()
      },
    }
  }

  #leastBytesPerSecond(): number {
    const { leastBytesPerSecond, pressedBytesPerSecond, idleMillis } = this.#limits
    // Longer than from one look to the next, so that whoever is turned away is heard by every transfer.
    const pressed = this.#turnedAwayAt !== undefined && this.#clock.now() - this.#turnedAwayAt < 2 * idleMillis
    return pressed ? pressedBytesPerSecond : leastBytesPerSecond
  }
}

export type Transfer = Disposable & { readonly pace: Pace }
