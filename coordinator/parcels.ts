import type { Parcel } from '#aggregation/secagg/messages.ts'
import { joinParts } from '#aggregation/secagg/parcel.ts'
import type { Block, Heard } from '#protocol/envelope.ts'
import type { Bytes, Cid, Round as RoundNumber, RunId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Keys } from './round/round.ts'

type Deal = Extract<ClientMessage, { readonly kind: 'deal' }>
type Gathering = { readonly keys: Cid; readonly parts: (Bytes | undefined)[]; beside: readonly Block[] }
type Gatherings = { readonly round: RoundNumber; readonly seats: Map<number, Gathering> }

/**
 * Parcels that come in parts: what members of the open rounds have sent so far. One for each seat, of the parts that a
 * parcel may have, each of a frame: a member can hold no more than its own place. A process that restarts is sent them again.
 */
export class Parcels {
  readonly #runs = new Map<RunId, Gatherings>()

  /** @returns the parcel once its last part is in, with what came beside the first */
  take(
    round: Keys,
    seat: number,
    { run, keys, parcel: cid, part, parts }: Deal,
    heard: Heard,
  ): Result<{ readonly parcel: Parcel; readonly beside: readonly Block[] } | undefined> {
    const bytes = heard.attached.find((block) => block.cid === cid)?.bytes
    if (!bytes) return refuse('block-missing', `part ${part} did not come along`)
    if (part >= parts) return refuse('wrong-shape', `part ${part} of ${parts}`)
    const seats = this.#seatsOf(run, round.round)
    const known = seats.get(seat)
    const gathering: Gathering =
      known?.keys === keys && known.parts.length === parts
        ? known
        : { keys, parts: new Array<Bytes | undefined>(parts).fill(undefined), beside: [] }
    seats.set(seat, gathering)
    gathering.parts[part] = bytes
    if (part === 0) gathering.beside = heard.attached.filter((block) => block.cid !== cid)
    const whole = gathering.parts.filter((one) => one !== undefined)
    if (whole.length < parts) return accept(undefined)
    seats.delete(seat)
    const joined = joinParts(whole)
    return joined.ok ? accept({ parcel: joined.value, beside: gathering.beside }) : joined
  }

  /** The run deals no keys now. */
  forget(run: RunId): void {
    this.#runs.delete(run)
  }

  /** One open round a run: what an earlier one left unfinished is forgotten. */
  #seatsOf(run: RunId, round: RoundNumber): Map<number, Gathering> {
    const known = this.#runs.get(run)
    if (known?.round === round) return known.seats
    const seats = new Map<number, Gathering>()
    this.#runs.set(run, { round, seats })
    return seats
  }
}
