import { type Clock, StorageFull } from '#protocol/ports.ts'
import type { Draw } from './chance.ts'
import type { Disk, Store } from './disk.ts'
import { Unreachable } from './network.ts'

/** Thrown by the doors of a process that is gone. */
export class Crashed extends Error {
  override name = 'Crashed'
}

/** Whether a fault of the world that is simulated explains it; anything else that is thrown is ours. */
export function isFault(cause: unknown): boolean {
  return cause instanceof Crashed || cause instanceof StorageFull || cause instanceof Unreachable
}

/** One call of one door of a process. */
export type Call = {
  readonly door: Store | 'queue' | 'presence' | 'link'
  /** Whether something is different after it. */
  readonly changes: boolean
  readonly name: string
}

/** Whether the process dies at this call, before or after it took effect. */
export type Blow = (call: Call) => 'before' | 'after' | undefined

type Surroundings = {
  /** The true one. */
  readonly clock: Clock
  readonly disk: Disk
  readonly blow: Blow
  readonly draw: Draw
  readonly end: AbortSignal
}

/**
 * One life of a process: it may stop for a while, as SIGSTOP has it, and it ends once, whatever it was doing. All that it
 * can do to the world goes through its doors, and each call of them comes through here.
 */
export class Life {
  readonly #around: Surroundings
  readonly #death = new AbortController()
  #stopped: PromiseWithResolvers<void> | undefined

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** Fires when it is gone. */
  get over(): AbortSignal {
    return this.#death.signal
  }

  get isOver(): boolean {
    return this.#death.signal.aborted
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined
  }

  kill(how: string): void {
    this.#death.abort(new Crashed(how))
    this.resume()
  }

  stop(): void {
    if (!this.isOver) this.#stopped ??= Promise.withResolvers()
  }

  resume(): void {
    this.#stopped?.resolve()
    this.#stopped = undefined
  }

  /** Answers when the process runs; throws when it is gone. */
  async running(): Promise<void> {
    while (this.#stopped) await this.#stopped.promise
    this.#death.signal.throwIfAborted()
  }

  async pass<T>(call: Call, act: () => Promise<T>): Promise<T> {
    await this.running()
    const { blow, disk } = this.#around
    const blown = blow(call)
    if (blown === 'before') this.kill(`before ${call.name}`)
    if (isStore(call.door)) {
      await this.#wait(disk.slowestMillis)
      if (call.changes) disk.checkRoom(call.door)
    }
    await this.running()
    const answer = await act()
    if (blown === 'after') this.kill(`after ${call.name}`)
    await this.running()
    return answer
  }

  async #wait(slowestMillis: number): Promise<void> {
    if (slowestMillis === 0) return
    const { clock, draw, end } = this.#around
    await clock.wakeAt(clock.now() + Math.floor(draw() * slowestMillis), end)
  }
}

function isStore(door: Call['door']): door is Store {
  return door !== 'queue' && door !== 'presence' && door !== 'link'
}
