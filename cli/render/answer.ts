import type { Answer, MomentsPart, Part } from '#aggregation/statistics/answer.ts'
import type { Quantile } from '#aggregation/statistics/quantile.ts'
import type { Question } from '#protocol/question.ts'
import { bar } from './bar.ts'

const BAR_WIDTH = 20

/** An answer for a person: a line or a small table for each item. */
export function answerLines(question: Question, answer: Answer, { unicode }: { readonly unicode: boolean }): string[] {
  const { name, minCell } = question
  const rule = minCell > 1 ? `, cells of fewer than ${minCell} rows suppressed at their site` : ''
  return [`${name}: ${answer.sites} sites${rule}`, ...answer.parts.flatMap((part) => ['', ...partLines(part, unicode)])]
}

function partLines(part: Part, unicode: boolean): readonly string[] {
  switch (part.kind) {
    case 'count':
      return [part.column === null ? `rows  ${part.rows}` : `${part.column}  ${part.missing} of ${part.rows} missing`]
    case 'moments':
      return [headOf(part), momentsLine(part)]
    case 'histogram': {
      const rows: readonly Cell[] = [
        [`below ${realOf(part.bins[0]?.lowMicro ?? 0)}`, part.below],
        ...part.bins.map(
          ({ lowMicro, highMicro, rows }): Cell => [`${realOf(lowMicro)} to ${realOf(highMicro)}`, rows],
        ),
        [`above ${realOf(part.bins.at(-1)?.highMicro ?? 0)}`, part.above],
      ]
      return [headOf(part), ...cellLines(rows, unicode), ...part.quantiles.map(quantileLine)]
    }
    case 'categories': {
      const rows = [
        ...part.levels.map(({ level, rows }): Cell => [String(level), rows]),
        ['other', part.other] as const,
      ]
      return [headOf(part), ...cellLines(rows, unicode)]
    }
  }
}

type Cell = readonly [label: string, rows: number]

function headOf({ column, values, missing, suppressed }: Exclude<Part, { kind: 'count' }>): string {
  const notes = [`${missing} missing`, ...(suppressed > 0 ? [`${suppressed} suppressed`] : [])]
  return `${column}  ${values} values, ${notes.join(', ')}`
}

function cellLines(cells: readonly Cell[], unicode: boolean): readonly string[] {
  const width = Math.max(...cells.map(([label]) => label.length))
  const digits = Math.max(...cells.map(([, rows]) => String(rows).length))
  const most = Math.max(1, ...cells.map(([, rows]) => rows))
  return cells.map(
    ([label, rows]) =>
      `  ${label.padStart(width)}  ${String(rows).padStart(digits)}  ${bar(rows / most, BAR_WIDTH, unicode)}`,
  )
}

function momentsLine({ mean, variance, clipped, lowMicro, highMicro }: MomentsPart): string {
  const { atLeast, atMost } = clipped
  const count = atLeast === atMost ? `${atLeast}` : `${atLeast} to ${atMost}`
  const beyond = atMost > 0 ? `; ${count} taken to the bounds ${realOf(lowMicro)} and ${realOf(highMicro)}` : ''
  const deviation = variance === null ? '-' : figure(Math.sqrt(variance))
  return `  mean ${mean === null ? '-' : figure(mean)}, standard deviation ${deviation}${beyond}`
}

function quantileLine({ perMille, estimate, low, high }: Quantile): string {
  const [least, most] = [low === null ? '' : `at least ${low}`, high === null ? '' : `at most ${high}`]
  const bounds = least && most ? `${low} to ${high}` : least || most || 'anywhere'
  return `  quantile ${perMille / 1000}  ${estimate === null ? '' : `about ${figure(estimate)}, certainly `}${bounds}`
}

/** Six digits: more than a rounded value is worth. */
function figure(value: number): string {
  return String(Number(value.toPrecision(6)))
}

function realOf(micro: number): number {
  return micro / 1_000_000
}

/** An answer for a program: flat, snake_case; what may be beyond 2^53 as decimal text. */
export function answerData(question: Question, answer: Answer): object {
  const { name, minCell: min_cell, minCohort: min_cohort } = question
  return { name, sites: answer.sites, min_cell, min_cohort, items: answer.parts.map(partData) }
}

function partData(part: Part): object {
  switch (part.kind) {
    case 'count':
    case 'categories':
      return part
    case 'moments': {
      const { clipped, sumSteps, squaresSteps, lowMicro, highMicro, resolutionMicro, ...rest } = part
      return {
        ...rest,
        ...{ low: realOf(lowMicro), high: realOf(highMicro), resolution: realOf(resolutionMicro) },
        ...{ clipped_min: clipped.atLeast, clipped_max: clipped.atMost },
        ...{ sum_steps: sumSteps.toString(), squares_steps: squaresSteps.toString() },
      }
    }
    case 'histogram': {
      const { bins, quantiles, ...rest } = part
      return {
        ...rest,
        bins: bins.map(({ lowMicro, highMicro, rows }) => ({ low: realOf(lowMicro), high: realOf(highMicro), rows })),
        quantiles: quantiles.map(({ perMille: per_mille, ...bounds }) => ({ per_mille, ...bounds })),
      }
    }
  }
}
