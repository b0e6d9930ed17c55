import { toHex } from '#protocol/bytes.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { holdBytes, holdCid, holdIn, type Part } from './kubo-holds.ts'
import type { KuboRpc } from './kubo-rpc.ts'

/**
 * The parts that wait in a daemon, whichever process put them there. Their holds are found by going through all pins, which
 * takes a while where there are many: so what was found is good for a second, and what this process does counts at once.
 */
export class KuboParts {
  readonly #doors: Doors
  #waiting = new Waiting()
  #lookedAt: Millis = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  /** What was held and dropped while somebody looks: it may have looked past it. */
  #meanwhile: ((waiting: Waiting) => void)[] = []

  constructor(doors: Doors) {
    this.#doors = doors
  }

  /** Holds it, also where it is held: that does no harm, for nobody was told that it is a blob. */
  async hold(part: Part): Promise<void> {
    const { rpc, space } = this.#doors
    await rpc.pin(holdBytes(space, part))
    this.#change((waiting) => waiting.add(this.#nameOf(part), part))
  }

  async drop(part: Part): Promise<void> {
    const { rpc, space } = this.#doors
    await rpc.unpin(holdCid(space, part))
    this.#change((waiting) => waiting.remove(this.#nameOf(part)))
  }

  async of(upload: Bytes): Promise<readonly Part[]> {
    await this.#look(FRESH_MILLIS)
    return this.#waiting.of(upload)
  }

  async has(cid: Cid): Promise<boolean> {
    await this.#look(FRESH_MILLIS)
    return this.#waiting.has(cid)
  }

  /** Those whose time is over. */
  async overdue(now: Millis): Promise<readonly Part[]> {
    await this.#look(0)
    return this.#waiting.all().filter(({ until }) => until <= now)
  }

  #nameOf(part: Part): string {
    return holdCid(this.#doors.space, part).toString()
  }

  #change(change: (waiting: Waiting) => void): void {
    change(this.#waiting)
    if (this.#looking) this.#meanwhile.push(change)
  }

  #look(freshMillis: Millis): Promise<void> {
    const { rpc, space, clock } = this.#doors
    const now = clock.now()
    if (this.#looking) return this.#looking
    if (now < this.#lookedAt + freshMillis) return Promise.resolve()
    const look = async () => {
      const found = new Waiting()
      for (const pinned of await rpc.pins()) {
        const hold = holdIn(space, pinned)
        if (hold?.kind === 'part') found.add(pinned.toString(), hold)
      }
      for (const change of this.#meanwhile) change(found)
      this.#waiting = found
      this.#lookedAt = now
    }
    this.#looking = look().finally(() => {
      this.#looking = undefined
      this.#meanwhile = []
    })
    return this.#looking
  }
}

type Doors = { readonly rpc: KuboRpc; readonly space: string; readonly clock: Clock }

const FRESH_MILLIS: Millis = 1000

/** Parts by the CIDs of their holds, found by upload and by block. */
class Waiting {
  readonly #parts = new Map<string, Part>()
  readonly #names = new Map<string, Set<string>>()
  readonly #counts = new Map<Cid, number>()

  add(name: string, part: Part): void {
    if (this.#parts.has(name)) return
    this.#parts.set(name, part)
    const key = toHex(part.upload)
    this.#names.set(key, (this.#names.get(key) ?? new Set()).add(name))
    this.#counts.set(part.cid, (this.#counts.get(part.cid) ?? 0) + 1)
  }

  remove(name: string): void {
    const part = this.#parts.get(name)
    if (!part) return
    this.#parts.delete(name)
    const key = toHex(part.upload)
    const names = this.#names.get(key)
    names?.delete(name)
    if (names?.size === 0) this.#names.delete(key)
    const count = (this.#counts.get(part.cid) ?? 0) - 1
    if (count > 0) this.#counts.set(part.cid, count)
    else this.#counts.delete(part.cid)
  }

  of(upload: Bytes): readonly Part[] {
    return [...(this.#names.get(toHex(upload)) ?? [])].map((name) => this.#parts.get(name) as Part)
  }

  has(cid: Cid): boolean {
    return this.#counts.has(cid)
  }

  all(): readonly Part[] {
    return [...this.#parts.values()]
  }
}
