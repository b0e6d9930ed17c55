import { z } from 'zod'
import { HISTOGRAM_EDGES_MAX, MOMENT_STEPS_MAX } from '#protocol/limits.ts'
import { type HistogramItem, type Item, type Question, questionSchema, stepsOf } from '#protocol/question.ts'
import { type Arguments, usage } from './arguments.ts'

/**
 * A question from flags:
 *
 *     --count                      --missing age            --mean age:0:120[:0.5]
 *     --histogram age:0,10,…,120   --categories sex:0,1     --quantiles age:250,500,750
 *
 * `…` (or `...`) goes on by the step before it. Quantiles are in thousandths, of a histogram of the same column. A mean's
 * resolution is the finest power of ten that the question allows, unless it is given.
 */
export function questionOf(args: Arguments): Question {
  const items: readonly Item[] = [
    ...(args.flag('count') ? [{ kind: 'count', column: null } as const] : []),
    ...args.texts('missing').map((column) => ({ kind: 'count', column }) as const),
    ...args.texts('mean').map(momentsOf),
    ...histogramsOf(args.texts('histogram'), args.texts('quantiles')),
    ...args.texts('categories').map((text): Item => {
      const { column, values } = listOf('categories', text)
      return { kind: 'categories', column, levels: values.map((value) => wholeOf('categories', value)) }
    }),
  ]
  if (items.length === 0)
    throw usage('empty_question', 'this asks for nothing', '--count, --mean age:0:120, or --question question.json')
  return checked({
    name: args.text('name') ?? 'question',
    minCell: args.integer('min-cell', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    minCohort: args.integer('min-cohort', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    items,
  })
}

/** A question from a file: JSON with `name`, `minCell`, `minCohort` and `items`, reals in millionths. */
export function parseQuestion(file: string, text: string): Question {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch (cause) {
    throw usage('bad_question', `${file} is not JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
  return checked(read !== null && typeof read === 'object' ? read : {})
}

function checked(fields: object): Question {
  const question = questionSchema.safeParse({ v: 1, kind: 'question', ...fields })
  if (question.success) return question.data
  throw usage('bad_question', `nobody can be asked this: ${z.prettifyError(question.error)}`)
}

function momentsOf(text: string): Item {
  const [, column, low, high, step] = /^(.+?):([^:]+):([^:]+)(?::([^:]+))?$/.exec(text) ?? []
  if (column === undefined || low === undefined || high === undefined)
    throw usage('bad_value', `--mean is a column and its bounds, not ${text}`, '--mean age:0:120')
  const bounds = { lowMicro: microOf('mean', low), highMicro: microOf('mean', high) }
  const resolutionMicro = step === undefined ? finest(bounds) : microOf('mean', step)
  return { kind: 'moments', column, ...bounds, resolutionMicro }
}

function finest(bounds: { readonly lowMicro: number; readonly highMicro: number }): number {
  let resolutionMicro = 1
  while (stepsOf({ ...bounds, resolutionMicro }) > MOMENT_STEPS_MAX) resolutionMicro *= 10
  return resolutionMicro
}

function histogramsOf(histograms: readonly string[], quantiles: readonly string[]): readonly Item[] {
  const asked = quantiles.map((text) => listOf('quantiles', text))
  const items = histograms.map((text): HistogramItem => {
    const { column, values } = listOf('histogram', text)
    const quantilesPerMille = asked
      .filter((quantile) => quantile.column === column)
      .flatMap((quantile) => quantile.values.map((value) => wholeOf('quantiles', value)))
    return { kind: 'histogram', column, edgesMicro: edgesOf(values), quantilesPerMille }
  })
  const alone = asked.find(({ column }) => items.every((item) => item.column !== column))
  if (alone)
    throw usage(
      'missing_histogram',
      `quantiles are read off a histogram, and there is none of ${alone.column}`,
      `--histogram ${alone.column}:0,10,…,120`,
    )
  return items
}

/** Edges in millionths; an ellipsis stands for all between its neighbours, as far apart as the two before it. */
function edgesOf(values: readonly string[]): readonly number[] {
  const edges: number[] = []
  for (const [index, value] of values.entries()) {
    if (value !== '…' && value !== '...') {
      edges.push(microOf('histogram', value))
      continue
    }
    const [before, last] = edges.slice(-2)
    const end = microOf('histogram', values[index + 1] ?? '')
    if (before === undefined || last === undefined || last <= before)
      throw usage('bad_value', 'an ellipsis in --histogram follows two edges that ascend', '--histogram age:0,10,…,120')
    const step = last - before
    if ((end - last) % step !== 0 || end <= last)
      throw usage('bad_value', `steps of ${step / 1e6} do not lead from ${last / 1e6} to ${end / 1e6}`)
    if ((end - last) / step > HISTOGRAM_EDGES_MAX)
      throw usage('bad_value', `--histogram has at most ${HISTOGRAM_EDGES_MAX} edges`)
    for (let edge = last + step; edge < end; edge += step) edges.push(edge)
  }
  return edges
}

/** `column:value,value,…`; a column's name may hold a colon, a value none. */
function listOf(flag: string, text: string): { readonly column: string; readonly values: readonly string[] } {
  const colon = text.lastIndexOf(':')
  if (colon > 0) return { column: text.slice(0, colon), values: text.slice(colon + 1).split(',') }
  throw usage('bad_value', `--${flag} is a column and a list, not ${text}`, `--${flag} age:1,2,3`)
}

const DECIMAL = /^([+-]?)(\d{1,10})(?:\.(\d{1,6}))?$/

/** A decimal as it is written, in millionths: no float between. */
function microOf(flag: string, text: string): number {
  const [, sign, whole, part = ''] = DECIMAL.exec(text.trim()) ?? []
  if (whole === undefined)
    throw usage('bad_value', `--${flag} takes decimals with at most six places, not ${text || 'nothing'}`)
  const micro = Number(`${whole}${part.padEnd(6, '0')}`)
  return sign === '-' ? 0 - micro : micro
}

function wholeOf(flag: string, text: string): number {
  const value = Number(text)
  if (/^[+-]?\d{1,15}$/.test(text.trim())) return value + 0
  throw usage('bad_value', `--${flag} takes whole numbers, not ${text || 'nothing'}`)
}
