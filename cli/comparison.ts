import type { z } from 'zod'
import { betterOf } from '#protocol/merit.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { formatBytes, formatDuration, formatSeconds } from './render/units.ts'
import { plain } from './render/width.ts'
import type { Evaluation, PastRound, RunProgress } from './run-progress.ts'
import type { comparedShape } from './shapes/runs.ts'

/** A run that is compared: how it stands, its rounds, and what it was to do. */
export type Comparison = { readonly run: RunView; readonly progress: RunProgress; readonly task: unknown }

export type Compared = z.output<typeof comparedShape>
type ComparedRun = Compared['runs'][number]
type Figures = NonNullable<Compared['rounds'][number]['figures'][number]>
export type Difference = Compared['differences'][number]

/** Side by side, each run's nth closed round beside the others'. */
export function compare(parts: readonly Comparison[]): Compared {
  const closed = parts.map(({ progress }) => progress.past.filter(({ aborted }) => aborted === null))
  const most = Math.max(0, ...closed.map(({ length }) => length))
  return {
    runs: parts.map(summaryOf),
    rounds: Array.from({ length: most }, (_, at) => ({
      round: at + 1,
      figures: closed.map((rounds) => figuresOf(rounds[at])),
    })),
    differences: [...differences(parts.map(({ task }) => task))],
  }
}

function summaryOf({ run: { id, name, status }, progress: { past } }: Comparison): ComparedRun {
  const closed = past.filter(({ aborted }) => aborted === null)
  const best = bestsOf(closed.map(({ evaluation }) => evaluation))
  const accuracy = best.find(({ name }) => name === 'accuracy')
  const sum = (of: (round: PastRound) => number) => closed.reduce((total, round) => total + of(round), 0)
  return {
    ...{ id, name, status, rounds_closed: closed.length, rounds_aborted: past.length - closed.length },
    ...{ best_accuracy: accuracy?.value ?? null, best_round: accuracy?.round ?? null, best },
    bytes_up_per_site: sum(({ bytesPerNode }) => bytesPerNode),
    duration_ms: sum(({ durationMillis }) => durationMillis),
    train_ms: sum(({ trainMillis }) => trainMillis),
    overhead_ms: sum(({ overheadMillis }) => overheadMillis),
  }
}

/** By name, accuracy first and the loss next; without those that are not there, or not defined. */
function scoresOf({ accuracy, loss, figures = [] }: Evaluation): readonly (readonly [string, number])[] {
  const all = [{ name: 'accuracy', value: accuracy }, { name: 'loss', value: loss }, ...figures]
  return all.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const]))
}

/** Of each figure the best value, which of errors is the least, and the round that came to it first. */
function bestsOf(evaluations: readonly (Evaluation | undefined)[]): ComparedRun['best'] {
  const bests = new Map<string, ComparedRun['best'][number]>()
  for (const [at, evaluation] of evaluations.entries())
    for (const [name, value] of evaluation ? scoresOf(evaluation) : []) {
      const [better, best] = [betterOf(name), bests.get(name)]
      if (better === undefined) continue
      const isBetter = best === undefined || (better === 'least' ? value < best.value : value > best.value)
      if (isBetter) bests.set(name, { name, value, round: at + 1 })
    }
  return [...bests.values()]
}

/** In the order in which the runs name them. */
function namesIn(lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())]
}

function figuresOf(round: PastRound | undefined): Figures | null {
  if (!round) return null
  const { evaluation, reports, cohort, bytesPerNode, trainMillis, overheadMillis } = round
  return {
    ...{ accuracy: evaluation?.accuracy ?? null, loss: evaluation?.loss ?? null, reports, cohort },
    figures: Object.fromEntries((evaluation?.figures ?? []).map(({ name, value }) => [name, value])),
    ...{ bytes_per_node: bytesPerNode, train_ms: trainMillis, overhead_ms: overheadMillis },
  }
}

/** Every place at which not all have the same, in order. */
export function differences(values: readonly unknown[]): readonly Difference[] {
  const flat = values.map((value) => new Map(leavesOf(value, '')))
  const pointers = [...new Set(flat.flatMap((leaves) => [...leaves.keys()]))].sort()
  return pointers.flatMap((pointer) => {
    const found = flat.map((leaves) => leaves.get(pointer) ?? null)
    return new Set(found.map((value) => JSON.stringify(value))).size > 1 ? [{ pointer, values: found }] : []
  })
}

function leavesOf(value: unknown, pointer: string): readonly (readonly [string, unknown])[] {
  if (value === null || typeof value !== 'object') return [[pointer, value]]
  const inner = Object.entries(value)
  if (inner.length === 0) return [[pointer, value]]
  return inner.flatMap(([name, one]) => leavesOf(one, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`))
}

/** Runs are named by a letter, so that no id is cut and no line is long. */
export function comparisonLines({ runs, rounds, differences }: Compared): readonly string[] {
  const letter = (at: number) => (at < 26 ? String.fromCharCode(97 + at) : `r${at + 1}`)
  const head = ['', ...runs.map((_, at) => letter(at))]
  const summary: readonly (readonly string[])[] = [
    ['status', ...runs.map(({ status }) => status)],
    [
      'rounds',
      ...runs.map((run) => `${run.rounds_closed}${run.rounds_aborted > 0 ? ` +${run.rounds_aborted} aborted` : ''}`),
    ],
    ...namesIn(runs.map(({ best }) => best.map(({ name }) => name))).map((name) => [
      `best ${name}`,
      ...runs.map((run) => bestText(run.best.find((one) => one.name === name))),
    ]),
    ['up per site', ...runs.map((run) => formatBytes(run.bytes_up_per_site))],
    ['took', ...runs.map((run) => formatDuration(run.duration_ms))],
    ['training', ...runs.map((run) => formatSeconds(run.train_ms))],
    ['overhead', ...runs.map((run) => formatSeconds(run.overhead_ms))],
  ]
  const shownOf = runs.map((_, at) => columnsIn(rounds.map(({ figures }) => figures[at] ?? null)))
  const table = [
    ['round', ...shownOf.flatMap((names, at) => names.map((name) => `${HEADS[name] ?? name} ${letter(at)}`))],
    ...rounds.map(({ round, figures }) => [
      String(round),
      ...shownOf.flatMap((names, at) => names.map((name) => scoreText(figures[at] ?? null, name))),
    ]),
  ]
  const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  return [
    ...runs.map(({ id, name }, at) => `${letter(at)}  ${id}  ${plain(name)}`),
    '',
    ...columnsOf([head, ...summary]),
    ...(rounds.length > 0 ? ['', ...columnsOf(table)] : []),
    '',
    ...(differences.length === 0 ? ['the tasks are the same'] : ['what differs in the tasks']),
    ...differences.flatMap(({ pointer, values }) => [
      `  ${pointer}`,
      ...values.map((value, at) => `    ${letter(at)}  ${value === null ? '-' : plain(shown(value))}`),
    ]),
  ]
}

const HEADS: Readonly<Record<string, string>> = { accuracy: 'acc' }

/** What a run's rounds tell of: accuracy where any has one, or nothing is known yet; the loss; and what its task asks for. */
function columnsIn(rounds: readonly (Figures | null)[]): readonly string[] {
  const told = rounds.filter((figures) => figures !== null)
  const isOfNumbers = told.some(({ loss }) => loss !== null) && told.every(({ accuracy }) => accuracy === null)
  return [...(isOfNumbers ? [] : ['accuracy']), 'loss', ...namesIn(told.map(({ figures }) => Object.keys(figures)))]
}

function scoreText(figures: Figures | null, name: string): string {
  const value = name === 'accuracy' || name === 'loss' ? figures?.[name] : figures?.figures[name]
  return value?.toFixed(4) ?? '-'
}

function bestText(best: ComparedRun['best'][number] | undefined): string {
  return best ? `${best.value.toFixed(4)} @ ${best.round}` : '-'
}

function columnsOf(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** A line for each round of each run, for a spreadsheet or a data frame. */
export function comparisonCsv({ runs, rounds }: Compared): readonly string[] {
  const asked = namesIn(rounds.flatMap(({ figures }) => figures.map((one) => Object.keys(one?.figures ?? {}))))
  const names = ['accuracy', 'loss', 'reports', 'cohort', 'bytes_per_node', 'train_ms', 'overhead_ms'] as const
  const rows = runs.flatMap(({ id }, at) =>
    rounds.flatMap(({ round, figures }) => {
      const figure = figures[at]
      if (!figure) return []
      const values = [...names.map((name) => figure[name]), ...asked.map((name) => figure.figures[name])]
      return [[id, round, ...values.map((value) => value ?? '')].join(',')]
    }),
  )
  return [['run', 'round', ...names, ...asked].join(','), ...rows]
}
