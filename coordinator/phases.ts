import type { Millis, RunId } from '#protocol/ids.ts'
import type { Past } from './run.ts'
import type { Advanced } from './runner.ts'

/** A stay of a round in one phase. */
export type Stay = { readonly phase: string; readonly from: Millis; readonly to: Millis }
/** A round that is over, as far as it was seen from here. */
export type Passed = { readonly advanced: Advanced; readonly past: Past; readonly stays: readonly Stay[] }

/** Follows rounds through their phases, for those who measure: it begins in mid-round after a restart, and forgets at the end. */
export class Phases {
  readonly #open = new Map<RunId, { readonly phase: string; readonly since: Millis; readonly stays: readonly Stay[] }>()

  /** @returns the round that is over by this, if one is */
  hear(advanced: Advanced): Passed | undefined {
    const { before, after, event } = advanced
    const { run } = after.spec
    const open = this.#open.get(run)
    const phase = after.round?.phase
    if (open && open.phase === phase) return undefined
    const stays = open ? [...open.stays, { phase: open.phase, from: open.since, to: event.at }] : []
    if (phase !== undefined) {
      this.#open.set(run, { phase, since: event.at, stays })
      return undefined
    }
    this.#open.delete(run)
    const past = before?.round && after.past[before.round.round - 1]
    return past ? { advanced, past, stays } : undefined
  }
}
