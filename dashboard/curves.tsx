import { useState } from 'preact/hooks'
import { betterOf } from '#protocol/merit.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { get, type Page } from './api.ts'
import { ChartBox } from './chart-box.tsx'
import { CurveTable } from './curve-table.tsx'
import { type Follower, useFollower } from './follow.ts'
import type { RunHistory } from './history.ts'
import { LabelCurves } from './label-curves.tsx'
import { useLoad } from './load.ts'
import { Empty } from './parts.tsx'
import { query, refine } from './place.ts'
import { beside, type Curve, curvesOf, smooth } from './series.ts'
import { WORDS } from './words.ts'

/** Loss, scores and times by round, drawn as they come in, beside those of another run if you like. */
export function Curves({ run: { id: run, task }, follower }: { readonly run: RunView; readonly follower: Follower }) {
  const [isLog, setLog] = useState(false)
  const [smoothing, setSmoothing] = useState(0)
  const other = query.value.get('compare')
  const words = WORDS.curves
  void follower.pulse.beats.value
  return (
    <>
      <div class="controls">
        <label>
          <input type="checkbox" checked={isLog} onChange={(event) => setLog(event.currentTarget.checked)} />{' '}
          {words.log}
        </label>
        <label>
          {words.smooth}
          <input
            type="range"
            min="0"
            max="0.9"
            step="0.1"
            value={smoothing}
            onInput={(event) => setSmoothing(Number(event.currentTarget.value))}
          />
          <output>{smoothing.toFixed(1)}</output>
        </label>
        <Compare run={run} other={other} />
      </div>
      {other ? (
        <Beside run={other} {...{ follower, isLog, smoothing }} />
      ) : (
        <Charts history={follower.history} {...{ isLog, smoothing }} />
      )}
      <LabelCurves history={follower.history} {...{ task, smoothing }} />
    </>
  )
}

function Compare({ run, other }: { readonly run: string; readonly other: string | null }) {
  const [loaded] = useLoad((signal) => get<Page<RunView>>('/v1/runs?limit=50', signal), '')
  const runs = loaded.state === 'ready' ? loaded.value.data.filter(({ id }) => id !== run) : []
  return (
    <label>
      {WORDS.curves.compare}
      <select value={other ?? ''} onChange={(event) => refine('compare', event.currentTarget.value || null)}>
        <option value="">{WORDS.curves.nothing}</option>
        {runs.map(({ id, name }) => (
          <option key={id} value={id}>
            {`${name} · ${id.slice(-6)}`}
          </option>
        ))}
      </select>
    </label>
  )
}

type Drawn = { readonly isLog: boolean; readonly smoothing: number }

function Beside({ run, follower, ...drawn }: Drawn & { readonly run: string; readonly follower: Follower }) {
  const other = useFollower(run)
  void other.pulse.beats.value
  return <Charts history={follower.history} other={other.history} {...drawn} />
}

function Charts({
  history,
  other,
  isLog,
  smoothing,
}: Drawn & { readonly history: RunHistory; readonly other?: RunHistory }) {
  const words = WORDS.curves
  const curves = curvesOf(history)
  const others = other ? curvesOf(other) : undefined
  if (!curves.loss.values.some((value) => value !== null))
    return <Empty text={words.waiting} hint={words.waitingHint} />
  const drawn = (own: readonly Curve[], others: readonly Curve[]): readonly Curve[] =>
    beside(own, others, (name) => `${name} (${words.compare.toLowerCase()})`).map((curve) => ({
      ...curve,
      values: smooth(curve.values, smoothing),
    }))
  const scores = drawn(curves.scores, others?.scores ?? [])
  return (
    <>
      <div class="charts">
        <ChartBox
          title={words.lossTitle}
          curves={drawn([curves.loss], others ? [others.loss] : [])}
          isLog={isLog}
          best="least"
        />
        {scores.length > 0 && (
          <ChartBox title={words.scoreTitle} curves={scores} isLog={false} best={betterOf(scores[0]?.name ?? '')} />
        )}
      </div>
      <ChartBox title={words.timeTitle} curves={curves.times} isLog={false} low />
      <CurveTable curves={[curves.loss, ...curves.scores, ...curves.times]} />
    </>
  )
}
