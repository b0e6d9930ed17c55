import type { RunHistory } from './history.ts'
import { WORDS } from './words.ts'

/** A line over rounds. Where a value is null there is a gap. */
export type Curve = {
  readonly name: string
  readonly rounds: readonly number[]
  readonly values: readonly (number | null)[]
  /** Of another run, which is drawn dashed. */
  readonly isOther?: boolean
  /** Which of the lines it is to look like, where that is not its own place: what has one name has one colour. */
  readonly line?: number
}

export type Curves = { readonly loss: Curve; readonly scores: readonly Curve[]; readonly times: readonly Curve[] }

const INKS = 5
const DASHES = ['', '7 3', '2 3', '9 3 2 3', '4 2'] as const

/** How the nth line is told from the others: no two of twenty-five are alike, and no two neighbours in either. */
export function strokeOf(line: number): { readonly ink: number; readonly dash: string } {
  return { ink: 1 + (line % INKS), dash: DASHES[(line + Math.floor(line / INKS)) % DASHES.length] as string }
}

/** Those of one run, and then of another, of which what the first has too looks like that. */
export function beside(own: readonly Curve[], others: readonly Curve[], named: (name: string) => string) {
  let next = own.length
  return [
    ...own,
    ...others.map((curve): Curve => {
      const same = own.findIndex(({ name }) => name === curve.name)
      return { ...curve, isOther: true, line: same < 0 ? next++ : same, name: named(curve.name) }
    }),
  ]
}

function trainedIn({ rounds }: RunHistory) {
  return rounds.filter(({ purpose, outcome }) => purpose === 'train' && outcome === 'closed')
}

/** Round n's point is of the model that it made, round 0's of the first one. */
function testedIn(history: RunHistory) {
  return [{ round: 0, made: history.genesis }, ...trainedIn(history)].filter(({ made }) => made !== null)
}

/** Models of numbers are right about no row: they have no accuracy. */
function isOfNumbers(history: RunHistory): boolean {
  const tested = testedIn(history)
  return tested.length > 0 && tested.every(({ made }) => made?.accuracy === null)
}

/** Figures that a run tells of each label by itself, where its rows have several. */
export function labelFigures(history: RunHistory): readonly string[] {
  const figures = testedIn(history).flatMap(({ made }) => made?.figures ?? [])
  return [...new Set(figures.flatMap(({ name, by_label: each }) => (each ? [name] : [])))]
}

/** One of those, a line for each label. @param columns what the labels are called; as long as that is not known, they are counted */
export function labelCurves(history: RunHistory, figure: string, columns: readonly string[]): readonly Curve[] {
  const tested = testedIn(history)
  const rounds = tested.map(({ round }) => round)
  const lines = tested.map(({ made }) => made?.figures?.find(({ name }) => name === figure)?.by_label ?? [])
  return Array.from({ length: Math.max(0, ...lines.map(({ length }) => length)) }, (_, label) => ({
    name: columns[label] ?? WORDS.curves.label(label + 1),
    ...{ rounds, values: lines.map((each) => each[label]?.value ?? null) },
  }))
}

/** What a run's models were measured to be. */
export function curvesOf(history: RunHistory): Curves {
  const [trained, tested] = [trainedIn(history), testedIn(history)]
  const rounds = tested.map(({ round }) => round)
  const figures = [...new Set(tested.flatMap(({ made }) => made?.figures?.map(({ name }) => name) ?? []))]
  const seconds = (millis: number) => millis / 1000
  const times = trained.map(({ round }) => round)
  return {
    loss: { name: WORDS.run.loss.toLowerCase(), rounds, values: tested.map(({ made }) => made?.loss ?? null) },
    scores: [
      ...(isOfNumbers(history)
        ? []
        : [
            {
              name: WORDS.run.accuracy.toLowerCase(),
              rounds,
              values: tested.map(({ made }) => made?.accuracy ?? null),
            },
          ]),
      ...figures.map((name) => ({
        ...{ name, rounds },
        values: tested.map(({ made }) => made?.figures?.find((figure) => figure.name === name)?.value ?? null),
      })),
    ],
    times: [
      { name: WORDS.curves.trainSeries, rounds: times, values: trained.map(({ trainMillis }) => seconds(trainMillis)) },
      {
        name: WORDS.curves.overheadSeries,
        rounds: times,
        values: trained.map((round) => seconds(round.overheadMillis)),
      },
    ],
  }
}

/** The exponential mean, corrected for its start as Adam's is. @param share of what was before, 0 for none */
export function smooth(values: readonly (number | null)[], share: number): readonly (number | null)[] {
  if (share === 0) return values
  let mean = 0
  let weight = 0
  return values.map((value) => {
    if (value === null) return null
    mean = share * mean + (1 - share) * value
    weight = share * weight + (1 - share)
    return mean / weight
  })
}

/** Several lines over one axis. */
export function joined(curves: readonly Curve[]): readonly [readonly number[], ...(readonly (number | null)[])[]] {
  const rounds = [...new Set(curves.flatMap((curve) => curve.rounds))].sort((a, b) => a - b)
  const place = new Map(rounds.map((round, index) => [round, index]))
  const lines = curves.map((curve) => {
    const line = new Array<number | null>(rounds.length).fill(null)
    for (const [index, round] of curve.rounds.entries()) line[place.get(round) as number] = curve.values[index] ?? null
    return line
  })
  return [rounds, ...lines]
}

/** Where a line is best. */
export function bestOf({ values }: Curve, which: 'least' | 'most'): number | undefined {
  let best: number | undefined
  for (const [index, value] of values.entries()) {
    const held = best === undefined ? undefined : values[best]
    if (value === null) continue
    if (held === undefined || held === null || (which === 'least' ? value < held : value > held)) best = index
  }
  return best
}
