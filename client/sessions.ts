import type { Chance } from '#aggregation/secagg/states.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore, Clock, RemoteStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { enterMasked } from './entering.ts'
import type { Entry } from './entry.ts'
import type { Journal } from './journal.ts'
import { checkLineage } from './lineage.ts'
import type { Membership } from './membership.ts'
import type { Told } from './progress.ts'
import { type Asked, recollect } from './recollection.ts'
import type { Place } from './seat.ts'
import type { Sequence } from './sequence.ts'
import type { SiteTerms } from './site.ts'
import type { Voice } from './voice.ts'

export type SessionsDoors = {
  readonly blobs: RemoteStore
  readonly uncached: BlobStore
  readonly withheld: BlobStore
  readonly outbox: BlobStore
  readonly journal: Journal
  readonly clock: Clock
  readonly signer: Signer
  readonly coordinator: NodeId
  readonly sequence: Sequence
  readonly site: SiteTerms
  readonly chance: Chance
  readonly voice: Voice
  readonly tell: (place: Place, made: Told) => void
  /** Fires when the process ends. */
  readonly ended: AbortSignal
}

/**
 * The masked rounds of one node: it enters each once, and answers for those that it holds no more. What only a masked round
 * needs is behind the functions that are called here, each of them a promise: a page loads it when it is in one.
 */
export class Sessions {
  readonly #doors: SessionsDoors

  constructor(doors: SessionsDoors) {
    this.#doors = doors
  }

  /** With fresh keys, and only with an input that may be given (R5). Undefined where the round is a plain one. */
  async enter(
    round: Omit<Entry, 'seq' | 'freshness' | 'spent'>,
    stop: AbortController,
  ): Promise<Result<Membership | undefined>> {
    const { plan } = round.assignment
    if (plan.secure === null) return this.checkPlain(plan)
    return enterMasked(this.#doors, round, stop)
  }

  /**
   * A node that takes plain rounds, too, gives nothing in one that a masked round was promised to hide: not in that same
   * round under another plan, nor over a model that an input went into a session for, which trained again is nearly it.
   */
  async checkPlain({ run, round, model }: Plan): Promise<Result<undefined>> {
    const { journal } = this.#doors
    if (await journal.recall(run, round)) return refuse('masking-required', 'this round was entered as a masked one')
    const [spent] = await journal.spendings(model)
    return spent ? refuse('input-spent', 'one over this model was given under masks') : accept(undefined)
  }

  /** R8: whether the plan's model is what the rounds before it make. */
  recompute(place: Place, plan: Plan, signal: AbortSignal): Promise<Result<undefined, 'model-not-recomputed'>> {
    return checkLineage({ ...this.#doors, tell: (made) => this.#doors.tell(place, made) }, plan, signal)
  }

  /** Says again what was said, where it is asked for. @returns whether there was a session at all */
  async recollect(message: Asked): Promise<boolean> {
    const { journal, outbox, blobs, signer, ended: signal, voice } = this.#doors
    const before = await journal.recall(message.run, message.round)
    if (!before?.member) return false
    const word = await recollect({ journal, outbox, blobs, signer, signal }, message, before)
    if (word) await voice.speak(message, word)
    return true
  }
}
