import { say } from '#aggregation/secagg/messages.ts'
import { abandon } from '#aggregation/secagg/participant.ts'
import {
  type Advertised,
  type Confirmed,
  eraseState,
  type Keyed,
  type Masked,
  type Shared,
  type Spent,
  sessionOf,
} from '#aggregation/secagg/states.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import type { Entry, MembershipDoors } from './entry.ts'
import { saidEntry } from './journal.ts'
import { reasonOf } from './progress.ts'

export type State = Advertised | Shared | Keyed | Masked | Confirmed | Spent

/**
 * What a member holds of a session, and for how long: secrets in memory alone, and its masked vector in the outbox. It ends
 * once, whoever ends it: the round, a refusal, the last deadline, or the process.
 */
export class Tenure {
  readonly #doors: MembershipDoors
  readonly #entry: Entry
  readonly #stop: AbortController
  #state: State
  #masking: Promise<unknown> = Promise.resolve()
  #vector: Cid | undefined
  #closing: Promise<void> | undefined
  #timer = new AbortController()

  /** @param stop ends whatever this node does in the round */
  constructor(doors: MembershipDoors, entry: Entry, stop: AbortController, state: State) {
    this.#doors = doors
    this.#entry = entry
    this.#stop = stop
    this.#state = state
  }

  get state(): State {
    return this.#state
  }

  /** Fires when the tenure ends. */
  get over(): AbortSignal {
    return this.#stop.signal
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  become(state: State): void {
    this.#state = state
  }

  /** While the vector is being masked its secrets are with whoever masks it, who erases them. */
  masksIn<T>(masking: Promise<T>): Promise<T> {
    this.#masking = masking.catch(() => undefined)
    return masking
  }

  lodge(vector: Cid): void {
    this.#vector = vector
  }

  eraseAt(at: Millis): void {
    this.#timer.abort()
    this.#timer = new AbortController()
    this.#doors.clock.wakeAt(at, this.#timer.signal).then(
      () => this.#expire(),
      () => undefined,
    )
  }

  /**
   * Erases everything. Whoever has dealt keys and not unmasked signs that it did, for when it is asked: with enough such
   * signatures nobody can open a sum of this session any more, and the next one may have the same input (R5).
   *
   * @param how `closed`: the coordinator says that the sum is out, and nobody will ask
   */
  close(how: 'closed' | 'abandoned'): Promise<void> {
    this.#closing ??= this.#close(this.#shut(), how)
    return this.#closing
  }

  /** At once and without a word: the process ends. What was said can be said again by the next one. */
  erase(): void {
    if (this.#closing) return
    this.#closing = Promise.resolve()
    const state = this.#shut()
    if (state.phase !== 'spent') eraseState(state)
  }

  async #close(state: State, how: 'closed' | 'abandoned'): Promise<void> {
    const { journal, outbox, site } = this.#doors
    if (state.phase === 'advertised' || (state.phase !== 'spent' && how === 'closed')) eraseState(state)
    else if (state.phase !== 'spent') {
      const { sid } = sessionOf(state)
      const abandoned = abandon(state)
      await this.#masking
      // Refused where whoever masked held the secrets; they are erased by now, and nothing was confirmed.
      const said = abandoned.ok
        ? abandoned.value.say
        : say(site.signer, 'Abandon', { sid, u: state.u, confirmed: false })
      await journal.keep(this.#entry.run, this.#entry.round, [saidEntry(said.signed)])
    }
    await this.#masking
    if (this.#vector) await outbox.delete(this.#vector)
  }

  /** From here on nothing is said and nothing waits. @returns the state that was left */
  #shut(): State {
    const state = this.#state
    this.#state = { phase: 'spent' }
    this.#timer.abort()
    this.#stop.abort(new Error('the session is over'))
    return state
  }

  async #expire(): Promise<void> {
    const { tell } = this.#doors
    if (this.#state.phase !== 'spent') tell({ kind: 'failed', reason: 'session-expired' })
    try {
      await this.close('abandoned')
    } catch (cause) {
      tell({ kind: 'failed', reason: `session-expired: ${reasonOf(cause)}` })
    }
  }
}
