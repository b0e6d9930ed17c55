import { assert } from '#protocol/assert.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import type {
  Abandonment,
  Aborted,
  Aggregation,
  Collecting,
  Consistency,
  Keys,
  Seated,
  SeatState,
  Selection,
  Unmasking,
} from './round.ts'
import { hasReported, openedOf } from './round.ts'
import { selected } from './selection.ts'

/**
 * The round came to nothing, for a named reason; the next round starts clean. A session is remembered where an input may
 * have gone into it: not before its keys were shared.
 */
export function abort(
  round: Selection | Keys | Collecting | Aggregation | Abandonment,
  reason: string,
  at: Millis,
): Aborted {
  const wasAbandoned = round.phase === 'abandonment'
  return {
    ...openedOf(round),
    ...(round.phase === 'selection' ? { selection: selected(round) } : seatedAtEnd(round, at)),
    phase: 'aborted',
    reason,
    endedIn: wasAbandoned ? round.endedIn : round.phase,
    lapses: wasAbandoned ? round.lapses : [],
    roster: rosterOf(round),
    endedAt: at,
  }
}

function seatedAtEnd(round: Exclude<Parameters<typeof abort>[0], Selection>, at: Millis): Seated {
  const { selection, cohort, session } = round
  return { selection, cohort, seats: seatsAtEnd(round, at), session: round.phase === 'keys' ? null : session }
}

function rosterOf(round: Parameters<typeof abort>[0]): Cid | null {
  return round.phase === 'selection' ? null : (round.session?.roster ?? null)
}

/** Nobody is awaited any more: who owed something when its time was up, and who had time left when the round ended. */
export function seatsAtEnd(
  round: Keys | Collecting | Consistency | Unmasking | Aggregation | Abandonment,
  at: Millis,
): readonly SeatState[] {
  const owedKeys = round.phase === 'keys' && round.step === 'dealing' && at >= round.endsAt
  return round.seats.map((state, seat): SeatState => {
    if (state !== 'waiting') return state
    return { gone: owedKeys && !round.session.dealt[seat] ? 'no-keys' : 'round-ended' }
  })
}

/** What seats that reported did not do afterwards, by seat: null of who did all that was asked, or had time left for it. */
export function lapsesOf(round: Collecting | Consistency | Unmasking, at: Millis): readonly (string | null)[] {
  const { phase, seats, session, endsAt } = round
  if (phase === 'reporting' || phase === 'evaluation' || !session) return seats.map(() => null)
  const [said, lapse] =
    phase === 'consistency'
      ? [session.confirms, session.survivors && 'no-confirmation']
      : [session.unmasks, 'no-shares']
  return seats.map((state, seat) => {
    if (!hasReported(state) || said[seat]) return null
    return session.away[seat] ?? (at >= endsAt ? lapse : null)
  })
}

/** What became of a seat: it reported, or why not; and what it did not do after it had. */
export function fateOf({ seats, lapses }: Aborted, seat: number) {
  const state = seats?.[seat]
  assert(state && state !== 'waiting', 'nobody is awaited any more')
  return hasReported(state)
    ? { update: state.update, reason: lapses[seat] ?? null }
    : { update: null, reason: state.gone }
}
