import type { Attendance } from '#protocol/attendance.ts'
import { draw, seatable } from '#protocol/draw.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import { COHORT_MAX, RETURNS_MAX } from '#protocol/limits.ts'
import { isLasting, refusedFor } from '#protocol/refusals.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type Selection as Selected, selectionOf } from '#protocol/selection.ts'
import { abort } from './aborted.ts'
import { collect } from './collecting.ts'
import type { RoundEvent } from './events.ts'
import { enrol } from './keys.ts'
import { isAmong, type Opened, placeOf, type Round, type RoundRefusal, type Selection, withAnswer } from './round.ts'

/**
 * Who wants a seat. Ends when everyone invited has answered and enough joined, or at its deadline; a question's also when too
 * many have declined for good.
 */
export function openSelection(opened: Opened, invited: number, attendance: readonly Attendance[]): Selection {
  return {
    ...opened,
    phase: 'selection',
    invited,
    attendance,
    joined: [],
    declined: [],
    returns: {},
    endsAt: opened.openedAt + opened.timing.selectionMillis,
  }
}

export function stepSelection(round: Selection, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'joined': {
      const { node, operator, advert, at } = event
      if (round.secure && !advert) return refuse('advert-missing')
      if (isAmong(round.joined, node)) return refuse('already-joined')
      const returned = isAmong(round.declined, node)
      const before = round.returns[node] ?? 0
      if (before >= RETURNS_MAX) return refuse('returned-too-often')
      if (round.joined.length >= COHORT_MAX || (!returned && answered(round) >= ANSWERS_MAX))
        return refuse('selection-full')
      const returns = returned ? { ...round.returns, [node]: before + 1 } : round.returns
      const joined = withNode(round.joined, { node, operator, advert: round.secure && advert })
      return accept(conclude({ ...round, joined, declined: without(round.declined, node), returns }, at))
    }
    case 'declined':
    case 'left': {
      const { node, reason, at } = event
      if (isAmong(round.declined, node)) return refuse('not-in-cohort')
      if (!isAmong(round.joined, node) && round.declined.length >= COHORT_MAX) return refuse('selection-full')
      const declined = withNode(round.declined, { node, reason })
      return accept(conclude({ ...round, joined: without(round.joined, node), declined }, at))
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
  const { rule, joined } = round
  const due = at >= round.endsAt
  const heardAll = answered(round) >= round.invited
  if (!due && !heardAll) return round
  const enough = seatable(joined, rule.operatorSeatsMax) >= rule.min
  const refused = refusalsOf(round)
  if (!enough && refused) return abort(round, refusedFor(refused), at)
  if (!enough) return due ? abort(round, joined.length < rule.min ? 'too-few-nodes' : 'too-few-operators', at) : round
  const selection = selected(round)
  const cohort = draw(selection, rule)
  const over = withAnswer(round, 'selectionMillis', heardAll ? at - round.openedAt : 'all')
  return round.secure ? enrol(over, round.secure, { selection, cohort }, at) : collect(over, { selection, cohort }, at)
}

/** What sites declined for good for, where too few are left of those who were asked: it would be the same again. */
function refusalsOf(round: Selection): readonly string[] | undefined {
  const { rule, invited, declined } = round
  if (!round.heedsRefusals) return undefined
  const lasting = declined.map(({ reason }) => reason).filter(isLasting)
  const mayCome = Math.max(invited, answered(round)) - lasting.length
  // Where fewer were invited than are needed, others are waited for to link, unless all of them have declined.
  const isTold = invited >= rule.min || (invited > 0 && mayCome === 0)
  return isTold && lasting.length > 0 && mayCome < rule.min ? lasting : undefined
}

/** The record of the draw. */
export function selected({ cohortSeed: seed, joined, declined: absent, attendance, rule }: Selection): Selected {
  return selectionOf({ seed, joined, absent, attendance, paced: rule.paced })
}

function withNode<T extends { readonly node: NodeId }>(list: readonly T[], item: T): readonly T[] {
  return list.toSpliced(placeOf(list, item.node, nodeOf), 0, item)
}

function without<T extends { readonly node: NodeId }>(list: readonly T[], node: NodeId): readonly T[] {
  return isAmong(list, node) ? list.toSpliced(placeOf(list, node, nodeOf), 1) : list
}

function nodeOf({ node }: { readonly node: NodeId }): NodeId {
  return node
}
