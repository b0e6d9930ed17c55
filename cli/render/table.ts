import type { Evaluation, PastRound } from '../run-progress.ts'
import { valueText } from './figures.ts'
import { formatBytes, formatSeconds } from './units.ts'

/** The table of rounds: 59 columns, so that it fits the narrowest terminal. */
const WIDTHS = [6, 7, 9, 8, 10, 9, 10] as const

/** @param figure of those that the task asks for, the one that is shown */
export function tableHead(figure?: string): string {
  return row(['round', 'sites', 'loss', 'acc', 'up/site', 'train', 'overhead']) + (figure ? cell(figure) : '')
}

/** A round whose model nobody has tested yet shows an ellipsis. */
export function tableRow(past: PastRound, ellipsis = '…', figure?: string): string {
  const { round, aborted, reports, cohort, bytesPerNode, trainMillis, overheadMillis, evaluation } = past
  if (aborted !== null) return `${String(round).padStart(WIDTHS[0])}  aborted: ${aborted}`
  const found = evaluation?.figures?.find(({ name }) => name === figure)
  return (
    row([
      String(round),
      `${reports}/${cohort}`,
      evaluation?.loss.toFixed(4) ?? ellipsis,
      evaluation ? (evaluation.accuracy?.toFixed(4) ?? '-') : ellipsis,
      formatBytes(bytesPerNode),
      formatSeconds(trainMillis),
      formatSeconds(overheadMillis),
    ]) + (figure ? cell(found ? valueText(found) : ellipsis) : '')
  )
}

/** Which figure a table has a column for: the first that the task asks for. */
export function figureIn(past: readonly PastRound[]): string | undefined {
  return past.find(({ evaluation }) => evaluation?.figures)?.evaluation?.figures?.[0]?.name
}

function cell(text: string): string {
  return `  ${text.padStart(FIGURE_WIDTH)}`
}

/** A longer name stands out. */
const FIGURE_WIDTH = 7

function row(cells: readonly string[]): string {
  return cells.map((cell, column) => cell.padStart(WIDTHS[column] as number)).join('')
}

/** A round as one plain line of key=value, for files and pipes. */
export function plainRow(past: PastRound, rounds: number): string {
  const { round, aborted, reports, cohort, bytesPerNode, trainMillis, overheadMillis, evaluation } = past
  const head = `round=${round}/${rounds}`
  if (aborted !== null) return `${head} aborted=${JSON.stringify(aborted)}`
  const tested = evaluation
    ? [
        `loss=${evaluation.loss.toFixed(4)}`,
        `accuracy=${valueText({ value: evaluation.accuracy })}`,
        ...figuresOf(evaluation),
      ]
    : ['loss=unknown', 'accuracy=unknown']
  const times = [`up_bytes_per_site=${bytesPerNode}`, `train_ms=${trainMillis}`, `overhead_ms=${overheadMillis}`]
  return [head, `sites=${reports}/${cohort}`, ...tested, ...times].join(' ')
}

function figuresOf({ figures = [] }: Evaluation): readonly string[] {
  return figures.map((figure) => `${figure.name}=${valueText(figure)}`)
}
