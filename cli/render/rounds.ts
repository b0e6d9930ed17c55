import type { RoundView, SeatView } from '../api-client.ts'
import { formatSeconds } from './units.ts'

/** A line for each round: how it ended, of how many seats how many reported, how long it took, and why it came to nothing. */
export function roundLines(rounds: readonly RoundView[]): readonly string[] {
  if (rounds.length === 0) return []
  return [rowOf(['round', 'purpose', 'outcome', 'reports', 'took', 'why'], ROUND_WIDTHS), ...rounds.map(roundLine)]
}

const ROUND_WIDTHS = [5, 9, 8, 9, 9, 0] as const

export function roundLine({ round, purpose, outcome, phase, reason, cohort, reports, ...times }: RoundView): string {
  const took = times.ended_at === null ? '' : formatSeconds(Date.parse(times.ended_at) - Date.parse(times.opened_at))
  const why = outcome === 'aborted' ? `${reason} in ${phase}` : outcome === 'open' ? (reason ?? phase ?? '') : ''
  const seats = cohort === 0 ? '-' : `${reports}/${cohort}`
  return rowOf([String(round), purpose, outcome, seats, took, why], ROUND_WIDTHS)
}

/** A line for each seat: what it did, how long it trained, and why not. */
export function seatLines(seats: readonly SeatView[]): readonly string[] {
  if (seats.length === 0) return ['no seats: the cohort was not drawn']
  const rows = seats.map(({ seat, node, outcome, reason, train_ms }) => {
    const trained = train_ms === null ? '' : formatSeconds(train_ms)
    return rowOf([String(seat), node, outcome, trained, reason ?? ''], SEAT_WIDTHS)
  })
  return [rowOf(['seat', 'node', 'outcome', 'train', 'why'], SEAT_WIDTHS), ...rows]
}

const SEAT_WIDTHS = [5, 48, 8, 9, 0] as const

export function rowOf(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd()
}
