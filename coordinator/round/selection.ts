import { toHex } from '#protocol/bytes.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import { COHORT_MAX, RETURNS_MAX } from '#protocol/limits.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { drawRank } from '#protocol/seeds.ts'
import { abort } from './aborted.ts'
import { collect } from './collecting.ts'
import type { RoundEvent } from './events.ts'
import { enrol } from './keys.ts'
import type { Opened, Round, RoundRefusal, Selection } from './round.ts'
import { seatOf } from './round.ts'

/** Who wants a seat. Ends when everyone invited has answered and enough joined, or at its deadline. */
export function openSelection(opened: Opened, invited: number): Selection {
  return {
    ...opened,
    phase: 'selection',
    invited,
    joined: [],
    adverts: {},
    declined: [],
    returns: {},
    endsAt: opened.openedAt + opened.timing.selectionMillis,
  }
}

export function stepSelection(round: Selection, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'joined': {
      const { node, advert, at } = event
      if (round.secure && !advert) return refuse('advert-missing')
      if (seatOf(round.joined, node) >= 0) return refuse('already-joined')
      const returned = seatOf(round.declined, node) >= 0
      const before = round.returns[node] ?? 0
      if (before >= RETURNS_MAX) return refuse('returned-too-often')
      if (round.joined.length >= COHORT_MAX || (!returned && answered(round) >= ANSWERS_MAX))
        return refuse('selection-full')
      const returns = returned ? { ...round.returns, [node]: before + 1 } : round.returns
      const joined = insert(round.joined, node)
      const adverts = round.secure && advert ? { ...round.adverts, [node]: advert } : round.adverts
      return accept(conclude({ ...round, joined, adverts, declined: without(round.declined, node), returns }, at))
    }
    case 'declined':
    case 'left': {
      if (seatOf(round.declined, event.node) >= 0) return refuse('not-in-cohort')
      if (seatOf(round.joined, event.node) < 0 && round.declined.length >= COHORT_MAX) return refuse('selection-full')
      const declined = insert(round.declined, event.node)
      return accept(conclude({ ...round, joined: without(round.joined, event.node), declined }, event.at))
    }
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    default:
      return refuse('wrong-phase', 'selection is open')
  }
}

/** Those who joined or declined, and those who did both: what an open population can make selection remember. */
const ANSWERS_MAX = 2 * COHORT_MAX

function answered(round: Selection): number {
  return round.joined.length + round.declined.length
}

/** The one place that ends selection. */
function conclude(round: Selection, at: Millis): Round {
  const due = at >= round.endsAt
  const enough = round.joined.length >= round.rule.min
  if (!due && !(enough && answered(round) >= round.invited)) return round
  if (!enough) return abort(round, 'too-few-nodes', at)
  const cohort = draw(round.joined, round.rule.max, round.cohortSeed)
  return round.secure ? enrol(round, round.secure, cohort, at) : collect(round, cohort, at)
}

/** At most `max` of the joined, by the public draw that anyone can repeat: smallest SHA-256(seed ‖ key) first. */
function draw(joined: readonly NodeId[], max: number, seed: Uint8Array): readonly NodeId[] {
  if (joined.length <= max) return joined
  const ranked = joined.map((node) => ({ node, rank: toHex(drawRank(seed, node)) }))
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1))
  return ranked
    .slice(0, max)
    .map(({ node }) => node)
    .sort()
}

function insert(nodes: readonly NodeId[], node: NodeId): readonly NodeId[] {
  const place = nodes.findIndex((other) => other > node)
  return place < 0 ? [...nodes, node] : nodes.toSpliced(place, 0, node)
}

function without(nodes: readonly NodeId[], node: NodeId): readonly NodeId[] {
  const place = seatOf(nodes, node)
  return place < 0 ? nodes : nodes.toSpliced(place, 1)
}
