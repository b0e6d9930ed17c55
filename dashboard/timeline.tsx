import { useEffect, useState } from 'preact/hooks'
import type { Follower } from './follow.ts'
import { formatMillis, shortId } from './format.ts'
import type { RoundTrace } from './history.ts'
import { Card, Chip, Empty, Sideways } from './parts.tsx'
import { type BarKind, type Row, type Timeline, timelineOf } from './timeline-bars.ts'
import { WORDS } from './words.ts'

const ROW_PIXELS = 30
const NAME_PIXELS = 150
const WIDTH_PIXELS = 960
const AXIS_PIXELS = 26
/** For the mark at the end of a row. */
const MARK_PIXELS = 104
/** An open round grows by itself, also while nothing happens in it. */
const TICK_MILLIS = 500

/** One round as bars: who was waited for, and what came on top of the sites' work. */
export function TimelineView({ follower }: { readonly follower: Follower }) {
  const { history, pulse } = follower
  void pulse.beats.value
  const [chosen, setChosen] = useState<number>()
  const { rounds } = history
  const index = chosen === undefined ? rounds.length - 1 : rounds.findIndex(({ round }) => round === chosen)
  const round = rounds[index]
  const words = WORDS.timeline
  useTicking(round?.outcome === 'open')
  if (!round) return <Empty text={words.none} hint={words.noneHint} />
  const timeline = timelineOf(round, Date.now())
  const steps = (
    <div class="actions">
      <button type="button" disabled={index <= 0} onClick={() => setChosen(rounds[index - 1]?.round)}>
        {words.older}
      </button>
      <button type="button" disabled={index >= rounds.length - 1} onClick={() => setChosen(rounds[index + 1]?.round)}>
        {words.newer}
      </button>
      <button type="button" disabled={chosen === undefined} onClick={() => setChosen(undefined)}>
        {words.follow}
      </button>
    </div>
  )
  return (
    <Card title={words.title(round.round, round.purpose)} side={steps}>
      <p class="overhead">
        <Chip state={round.outcome} /> <b>{headline(round, timeline)}</b>
      </p>
      {round.sites.size === 0 && round.outcome !== 'open' ? (
        <Empty text={words.forgotten} />
      ) : (
        <>
          <Gantt round={round} timeline={timeline} />
          <Kinds timeline={timeline} />
          <Twin timeline={timeline} />
        </>
      )}
    </Card>
  )
}

function headline(round: RoundTrace, { spanMillis }: Timeline): string {
  const words = WORDS.timeline
  if (round.outcome === 'open')
    return words.running(formatMillis(spanMillis), round.reports, round.cohort || round.invited)
  if (round.outcome === 'aborted') return words.aborted(round.reason ?? '')
  const slowest = words.slowest(round.purpose, formatMillis(round.trainMillis))
  return words.overhead(formatMillis(round.overheadMillis), formatMillis(spanMillis), slowest)
}

function useTicking(isOn: boolean): void {
  const [, tick] = useState(0)
  useEffect(() => {
    if (!isOn || matchMedia('(prefers-reduced-motion: reduce)').matches) return
    const timer = setInterval(() => tick((last) => last + 1), TICK_MILLIS)
    return () => clearInterval(timer)
  }, [isOn])
}

function Gantt({ round, timeline }: { readonly round: RoundTrace; readonly timeline: Timeline }) {
  const { rows, spanMillis } = timeline
  const height = rows.length * ROW_PIXELS + AXIS_PIXELS
  const scale = (WIDTH_PIXELS - NAME_PIXELS - MARK_PIXELS) / spanMillis
  const critical = rows.find((row) => row.critical && row.site)
  return (
    <Sideways class="gantt" label={WORDS.run.tabs.timeline}>
      <svg
        role="img"
        aria-label={WORDS.timeline.chart(round.round, critical?.site ? nameOf(critical) : '—')}
        viewBox={`0 0 ${WIDTH_PIXELS} ${height}`}
      >
        {ticksOf(spanMillis).map((at) => (
          <g key={at} class="tick" transform={`translate(${NAME_PIXELS + at * scale} 0)`}>
            <line y2={height - AXIS_PIXELS + 6} />
            <text y={height - 6}>{formatMillis(at)}</text>
          </g>
        ))}
        {rows.map((row, index) => (
          <Line key={row.site?.node ?? ''} row={row} y={index * ROW_PIXELS} scale={scale} />
        ))}
      </svg>
    </Sideways>
  )
}

function Line({ row, y, scale }: { readonly row: Row; readonly y: number; readonly scale: number }) {
  const { bars, critical, gone } = row
  return (
    <g class={critical ? 'row critical' : 'row'} transform={`translate(0 ${y})`}>
      <text class="name" x="0" y={ROW_PIXELS / 2 + 4}>
        {nameOf(row)}
      </text>
      {bars.map(({ kind, from, to }) => (
        <rect
          key={kind}
          class={`bar ${kind}`}
          x={NAME_PIXELS + from * scale}
          y="6"
          width={Math.max(1.5, (to - from) * scale)}
          height={ROW_PIXELS - 12}
          rx="3"
        >
          <title>{`${WORDS.timeline.kinds[kind]}: ${formatMillis(to - from)}`}</title>
        </rect>
      ))}
      {gone && (
        <text class="gone" x={NAME_PIXELS + gone.at * scale + 4} y={ROW_PIXELS / 2 + 4}>
          {`✕ ${gone.reason ?? ''}`}
        </text>
      )}
      {critical && row.site && (
        <text class="mark" x={WIDTH_PIXELS} y={ROW_PIXELS / 2 + 4}>
          {`◄ ${WORDS.timeline.critical}`}
        </text>
      )}
    </g>
  )
}

function nameOf({ site }: Row): string {
  if (!site) return WORDS.timeline.coordinator
  return site.operator && site.operator !== site.node ? site.operator : shortId(site.node)
}

/** What the colours mean, as far as they occur. */
function Kinds({ timeline: { rows } }: { readonly timeline: Timeline }) {
  const kinds = [...new Set(rows.flatMap(({ bars }) => bars.map(({ kind }) => kind)))]
  return (
    <ul class="kinds">
      {kinds.map((kind: BarKind) => (
        <li key={kind}>
          <svg width="16" height="12" aria-hidden="true">
            <rect class={`bar ${kind}`} width="16" height="12" rx="3" />
          </svg>{' '}
          {WORDS.timeline.kinds[kind]}
        </li>
      ))}
    </ul>
  )
}

function Twin({ timeline: { rows } }: { readonly timeline: Timeline }) {
  const words = WORDS.timeline
  return (
    <details>
      <summary>{words.table}</summary>
      <Sideways label={words.table}>
        <table class="plain-table">
          <thead>
            <tr>
              {[words.site, words.phase, words.from, words.took].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.flatMap((row) => [
              ...row.bars.map(({ kind, from, to }) => (
                <tr key={`${row.site?.node} ${kind}`}>
                  <th scope="row">{nameOf(row)}</th>
                  <td>{words.kinds[kind]}</td>
                  <td>{formatMillis(from)}</td>
                  <td>{formatMillis(to - from)}</td>
                </tr>
              )),
              ...(row.gone
                ? [
                    <tr key={`${row.site?.node} gone`}>
                      <th scope="row">{nameOf(row)}</th>
                      <td>{words.gone(row.gone.reason ?? '')}</td>
                      <td>{formatMillis(row.gone.at)}</td>
                      <td />
                    </tr>,
                  ]
                : []),
            ])}
          </tbody>
        </table>
      </Sideways>
    </details>
  )
}

/** Four to eight round numbers. */
function ticksOf(spanMillis: number): readonly number[] {
  const rough = spanMillis / 6
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)))
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10)
  return Array.from({ length: Math.floor(spanMillis / step) + 1 }, (_, index) => index * step)
}
