import type { PastRound } from '../run-progress.ts'
import { formatBytes, formatSeconds } from './units.ts'

/** The table of rounds: 59 columns, so that it fits the narrowest terminal. */
const WIDTHS = [6, 7, 9, 8, 10, 9, 10] as const

export function tableHead(): string {
  return row(['round', 'sites', 'loss', 'acc', 'up/site', 'train', 'overhead'])
}

/** A round whose model nobody has tested yet shows an ellipsis. */
export function tableRow(past: PastRound, ellipsis = '…'): string {
  const { round, aborted, reports, cohort, bytesPerNode, trainMillis, overheadMillis, evaluation } = past
  if (aborted !== null) return `${String(round).padStart(WIDTHS[0])}  aborted: ${aborted}`
  return row([
    String(round),
    `${reports}/${cohort}`,
    evaluation?.loss.toFixed(4) ?? ellipsis,
    evaluation?.accuracy.toFixed(4) ?? ellipsis,
    formatBytes(bytesPerNode),
    formatSeconds(trainMillis),
    formatSeconds(overheadMillis),
  ])
}

function row(cells: readonly string[]): string {
  return cells.map((cell, column) => cell.padStart(WIDTHS[column] as number)).join('')
}

/** A round as one plain line of key=value, for files and pipes. */
export function plainRow(past: PastRound, rounds: number): string {
  const { round, aborted, reports, cohort, bytesPerNode, trainMillis, overheadMillis, evaluation } = past
  const head = `round=${round}/${rounds}`
  if (aborted !== null) return `${head} aborted=${JSON.stringify(aborted)}`
  const tested = evaluation
    ? [`loss=${evaluation.loss.toFixed(4)}`, `accuracy=${evaluation.accuracy.toFixed(4)}`]
    : ['loss=unknown', 'accuracy=unknown']
  const times = [`up_bytes_per_site=${bytesPerNode}`, `train_ms=${trainMillis}`, `overhead_ms=${overheadMillis}`]
  return [head, `sites=${reports}/${cohort}`, ...tested, ...times].join(' ')
}
