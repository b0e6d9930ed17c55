import { useEffect, useRef, useState } from 'preact/hooks'
import type { Chart } from './chart.ts'
import { useChartLibrary } from './chart-library.ts'
import { formatFigure } from './format.ts'
import { Card } from './parts.tsx'
import { bestOf, type Curve, joined, strokeOf } from './series.ts'
import { WORDS } from './words.ts'

/** A chart with its legend, which says what is under the cursor. By the keyboard a slider moves the cursor. */
export function ChartBox(props: {
  readonly title: string
  readonly curves: readonly Curve[]
  readonly isLog: boolean
  readonly best?: 'least' | 'most' | undefined
  readonly low?: boolean
}) {
  const { title, curves, isLog, best } = props
  const Library = useChartLibrary()
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<Chart>(undefined)
  const [at, setAt] = useState<number>()
  const options = { curves, isLog, best, heightPixels: props.low ? 160 : 260, pointed: setAt }
  const form = `${isLog} ${curves.map(({ name, isOther }) => `${name}${isOther}`).join()}`
  useEffect(() => {
    if (!Library || !box.current) return
    const made = new Library(box.current, options)
    chart.current = made
    return () => made[Symbol.dispose]()
  }, [Library, form])
  useEffect(() => chart.current?.draw(options))

  const [rounds, ...lines] = joined(curves)
  const shown = at !== undefined && at < rounds.length ? at : undefined
  const move = (index: number) => {
    chart.current?.point(index)
    setAt(index)
  }
  const pointed = shown ?? rounds.length - 1
  const read = curves.map(({ name }, index) => `${name} ${formatFigure(lines[index]?.[pointed])}`).join(', ')
  const bestIndex = best && curves[0] ? bestOf(curves[0], best) : undefined
  const bestValue = bestIndex === undefined ? undefined : curves[0]?.values[bestIndex]
  const last = (line: readonly (number | null)[]) => line.findLast((value) => value !== null)
  return (
    <Card title={title} side={<Legend {...{ curves, shown, rounds, lines, last }} />}>
      <div class="chart" ref={box} role="img" aria-label={`${title}: ${read}`} />
      <input
        type="range"
        class="scrub"
        min={0}
        max={Math.max(0, rounds.length - 1)}
        value={pointed}
        aria-label={`${title}. ${WORDS.curves.keys}`}
        aria-valuetext={`${WORDS.curves.at(rounds[pointed] ?? 0)}: ${read}`}
        onInput={(event) => move(Number(event.currentTarget.value))}
      />
      {bestValue !== undefined && (
        <p class="note best">
          {`◯ ${WORDS.curves.best(formatFigure(bestValue))}, ${WORDS.curves.at(curves[0]?.rounds[bestIndex ?? 0] ?? 0).toLowerCase()}`}
        </p>
      )}
    </Card>
  )
}

function Legend(props: {
  readonly curves: readonly Curve[]
  readonly shown: number | undefined
  readonly rounds: readonly number[]
  readonly lines: readonly (readonly (number | null)[])[]
  readonly last: (line: readonly (number | null)[]) => number | null | undefined
}) {
  const { curves, shown, rounds, lines } = props
  return (
    <p class="legend">
      {shown !== undefined && <span>{WORDS.curves.at(rounds[shown] ?? 0)}</span>}
      {curves.map(({ name, isOther, line }, index) => {
        const { ink, dash } = strokeOf(line ?? index)
        return (
          <span key={name}>
            <svg width="22" height="8" aria-hidden="true" class={`key ink-${ink} ${isOther ? 'other' : ''}`}>
              <line x1="0" y1="4" x2="22" y2="4" stroke-dasharray={dash} />
            </svg>{' '}
            {name} <b>{formatFigure(shown === undefined ? props.last(lines[index] ?? []) : lines[index]?.[shown])}</b>
          </span>
        )
      })}
    </p>
  )
}
