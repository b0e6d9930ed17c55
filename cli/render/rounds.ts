import type { Purpose } from '#protocol/plan.ts'
import { WORK } from '#protocol/work.ts'
import type { RoundView, SeatView } from '#sdk/views/runs.ts'
import { figuresText } from './figures.ts'
import { formatSeconds } from './units.ts'
import { plain } from './width.ts'

/** A line for each round: how it ended, of how many seats how many reported, how long it took, and why it came to nothing. */
export function roundLines(rounds: readonly RoundView[]): readonly string[] {
  if (rounds.length === 0) return []
  const score = scoreIn(rounds)
  const head = rowOf(['round', 'purpose', 'outcome', 'reports', 'took', score, 'figures or why'], ROUND_WIDTHS)
  return [head, ...rounds.map((round) => roundLine(round, score))]
}

/** Accuracy, or of numbers the loss, is of the model that the round started from. */
const ROUND_WIDTHS = [5, 9, 8, 9, 9, 8, 0] as const

/** What rounds are told by: accuracy, which models of numbers have none of. */
function scoreIn(rounds: readonly RoundView[]): 'accuracy' | 'loss' {
  const tested = rounds.flatMap(({ evaluation }) => evaluation ?? [])
  return tested.length > 0 && tested.every(({ accuracy }) => accuracy === null) ? 'loss' : 'accuracy'
}

export function roundLine(view: RoundView, score = scoreIn([view])): string {
  const { round, purpose, outcome, phase, reason, cohort, reports, evaluation, ...times } = view
  const took = times.ended_at === null ? '' : formatSeconds(Date.parse(times.ended_at) - Date.parse(times.opened_at))
  const why =
    outcome === 'aborted'
      ? `${reason} in ${phase}`
      : outcome === 'open'
        ? (reason ?? phase ?? '')
        : figuresText(evaluation?.figures)
  const seats = cohort === 0 ? '-' : `${reports}/${cohort}`
  return rowOf(
    [String(round), purpose, outcome, seats, took, evaluation ? (evaluation[score]?.toFixed(4) ?? '-') : '', why],
    ROUND_WIDTHS,
  )
}

/** A line for each seat: what it did, how long it worked, and why not. */
export function seatLines(seats: readonly SeatView[], purpose: Purpose): readonly string[] {
  if (seats.length === 0) return ['no seats: the cohort was not drawn']
  const rows = seats.map(({ seat, node, outcome, reason, train_ms }) => {
    const trained = train_ms === null ? '' : formatSeconds(train_ms)
    return rowOf([String(seat), node, outcome, trained, reason ?? ''], SEAT_WIDTHS)
  })
  return [rowOf(['seat', 'node', 'outcome', WORK[purpose], 'why'], SEAT_WIDTHS), ...rows]
}

const SEAT_WIDTHS = [5, 48, 8, 9, 0] as const

export function rowOf(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => plain(cell).padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd()
}
