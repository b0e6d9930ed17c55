import { useState } from 'preact/hooks'
import type { NodeView, RoundView, RunView } from '#cli/api-client.ts'
import { get, type Page } from './api.ts'
import { ChartBox } from './chart-box.tsx'
import { type Follower, useFollower } from './follow.ts'
import { formatCount, formatDay, formatFigure, formatMillis, shortId } from './format.ts'
import { useLoad } from './load.ts'
import { Card, Chip, Empty, Progress, Show, Sparkline, Tile } from './parts.tsx'
import { curvesOf } from './series.ts'
import { WORDS } from './words.ts'

type Overview = {
  readonly runs: readonly RunView[]
  readonly hasMore: boolean
  readonly linked: number
  readonly known: number
  readonly recent: readonly RoundView[]
}

const EVERY_MILLIS = 5000
const RUNS_SHOWN = 6
const RUNS_SHOWN_MAX = 100
/** A browser opens six connections to a place; streams must leave some for the rest. */
const STREAMS_MAX = 3
const DAY_MILLIS = 86_400_000

/** One screen: what is under way, what waits for somebody, who is there. */
export function OverviewPage() {
  const [limit, setLimit] = useState(RUNS_SHOWN)
  const [loaded, again] = useLoad((signal) => loadOverview(limit, signal), '', EVERY_MILLIS)
  return (
    <>
      <h1>{WORDS.overview.title}</h1>
      <Show loaded={loaded} again={again}>
        {(found) => (
          <Found
            {...found}
            more={() => {
              setLimit(RUNS_SHOWN_MAX)
              again()
            }}
          />
        )}
      </Show>
    </>
  )
}

function Found({ runs, linked, known, recent, hasMore, more }: Overview & { readonly more: () => void }) {
  const words = WORDS.overview
  const closed = recent.filter(({ outcome }) => outcome === 'closed')
  const aborted = recent.length - closed.length
  const followed = followedOf(runs)
  const going = runs.filter(({ status }) => isGoing(status))
  return (
    <>
      <dl class="tiles">
        <Tile name={words.running} value={formatCount(going.length)} note={words.paused(pausedIn(runs))} />
        <Tile name={words.linked} value={formatCount(linked)} note={words.known(known)} />
        <Tile name={words.recent} value={formatCount(closed.length)} note={words.aborted(aborted)} />
        <Overhead runs={followed} />
      </dl>
      {followed[0] && <Latest key={followed[0].id} run={followed[0]} />}
      <div class="columns">
        <Card title={words.runs} class="wide">
          {runs.length === 0 ? (
            <Empty text={words.none} hint={words.noneHint} />
          ) : (
            <table class="plain-table">
              <thead>
                <tr>
                  <th scope="col">{words.run}</th>
                  <th scope="col">{words.state}</th>
                  <th scope="col">{words.progress}</th>
                  <th scope="col">{words.loss}</th>
                  <th scope="col" class="number">
                    {words.accuracy}
                  </th>
                  <th scope="col">{words.started}</th>
                </tr>
              </thead>
              <tbody>
                {runs.map((run) => (
                  <RunRow key={run.id} run={run} isFollowed={followed.includes(run)} />
                ))}
              </tbody>
            </table>
          )}
          {hasMore && (
            <p>
              <button type="button" class="plain" onClick={more}>
                {words.more}
              </button>
            </p>
          )}
        </Card>
        <Alerts runs={runs} linked={linked} />
      </div>
    </>
  )
}

/** The curves of what is looked for first. */
function Latest({ run }: { readonly run: RunView }) {
  const { history, pulse } = useFollower(run.id)
  void pulse.beats.value
  const { loss, scores } = curvesOf(history)
  if (loss.rounds.length < 2) return null
  return (
    <div class="charts">
      <ChartBox title={WORDS.overview.latest(run.name)} curves={[loss]} isLog={false} low />
      <ChartBox title={WORDS.overview.latestScore(run.name)} curves={scores} isLog={false} low />
    </div>
  )
}

function RunRow({ run, isFollowed }: { readonly run: RunView; readonly isFollowed: boolean }) {
  return (
    <tr>
      <td>
        <a href={`/runs/${run.id}`}>{run.name}</a>
        <br />
        <code class="note" title={run.id}>
          {shortId(run.id)}
        </code>
      </td>
      {isFollowed ? <LiveCells run={run} /> : <Cells run={run} closed={run.closed} losses={[]} />}
      <td class="note when">{formatDay(run.created_at)}</td>
    </tr>
  )
}

function LiveCells({ run }: { readonly run: RunView }) {
  const { history, pulse } = useFollower(run.id)
  void pulse.beats.value
  const made = [history.genesis, ...history.rounds.map((round) => round.made)].filter((figures) => figures !== null)
  const losses = made.map(({ loss }) => loss)
  return (
    <Cells
      run={run}
      closed={Math.max(run.closed, history.closed)}
      losses={losses}
      accuracy={made.at(-1)?.accuracy}
      status={history.end?.outcome ?? undefined}
    />
  )
}

function Cells(props: {
  readonly run: RunView
  readonly closed: number
  readonly losses: readonly number[]
  readonly accuracy?: number | undefined
  readonly status?: string | undefined
}) {
  const { run, closed, losses } = props
  const label = WORDS.overview.spark(formatFigure(losses[0]), formatFigure(losses.at(-1)), losses.length)
  return (
    <>
      <td>
        <Chip state={props.status ?? run.status} />
      </td>
      <td>
        <Progress done={closed} all={run.rounds} name={WORDS.run.of(closed, run.rounds)} />
      </td>
      <td>
        <Sparkline values={losses} label={label} />
      </td>
      <td class="number">{formatFigure(props.accuracy ?? run.evaluation?.accuracy)}</td>
    </>
  )
}

function Overhead({ runs }: { readonly runs: readonly RunView[] }) {
  return runs.length > 0 ? (
    <MeasuredOverhead key={runs[0]?.id ?? ''} run={(runs[0] as RunView).id} />
  ) : (
    <OverheadTile overheads={[]} />
  )
}

function MeasuredOverhead({ run }: { readonly run: string }) {
  const { history, pulse }: Follower = useFollower(run)
  void pulse.beats.value
  const closed = history.rounds.filter(({ outcome, purpose }) => outcome === 'closed' && purpose === 'train')
  return <OverheadTile overheads={closed.map(({ overheadMillis }) => overheadMillis)} />
}

function OverheadTile({ overheads }: { readonly overheads: readonly number[] }) {
  const middle = overheads.toSorted((a, b) => a - b)[Math.floor(overheads.length / 2)]
  const value = middle === undefined ? '—' : formatMillis(middle)
  return <Tile name={WORDS.overview.overhead} value={value} note={WORDS.overview.overheadHint} />
}

function Alerts({ runs, linked }: { readonly runs: readonly RunView[]; readonly linked: number }) {
  const waiting = runs.filter(({ status }) => status === 'paused' || status === 'failed')
  const words = WORDS.overview
  const isCalm = waiting.length === 0 && (linked > 0 || runs.length === 0)
  return (
    <Card title={words.alerts}>
      {isCalm && <p class="calm-text">{words.calm}</p>}
      <ul class="alerts">
        {linked === 0 && runs.length > 0 && <li class="warn">{words.noNodes}</li>}
        {waiting.map(({ id, name, status, reason }) => (
          <li key={id} class={status === 'paused' ? 'warn' : 'bad'}>
            <a href={`/runs/${id}`}>{status === 'paused' ? words.alertPaused(name) : words.alertFailed(name)}</a>
            <span class="note">{reason}</span>
          </li>
        ))}
      </ul>
    </Card>
  )
}

/** Those under way, and else the newest: what it looked like is seen as well when it is over. */
function followedOf(runs: readonly RunView[]): readonly RunView[] {
  const going = runs.filter(({ status }) => isGoing(status))
  return [...going, ...runs.filter((run) => !going.includes(run))].slice(0, STREAMS_MAX)
}

function isGoing(status: string): boolean {
  return ['funding', 'running', 'paused', 'finishing'].includes(status)
}

function pausedIn(runs: readonly RunView[]): number {
  return runs.filter(({ status }) => status === 'paused').length
}

async function loadOverview(limit: number, signal: AbortSignal): Promise<Overview> {
  const [runs, nodes] = await Promise.all([get<Page<RunView>>(`/v1/runs?limit=${limit}`, signal), nodeCounts(signal)])
  const since = Date.now() - DAY_MILLIS
  const recent = await Promise.all(
    runs.data.map(async ({ id, over }) => {
      const { data } = await get<Page<RoundView>>(
        `/v1/runs/${id}/rounds?limit=200&after=${Math.max(0, over - 200)}`,
        signal,
      )
      return data.filter(({ ended_at }) => ended_at !== null && Date.parse(ended_at) > since)
    }),
  )
  return { runs: runs.data, hasMore: runs.has_more, ...nodes, recent: recent.flat() }
}

async function nodeCounts(signal: AbortSignal): Promise<{ readonly linked: number; readonly known: number }> {
  const counts = { linked: 0, known: 0 }
  for (const which of ['linked', 'known'] as const)
    for (let after: string | null = ''; after !== null; ) {
      const query: string = after === '' ? '' : `&after=${encodeURIComponent(after)}`
      const page: Page<NodeView> = await get(`/v1/nodes?which=${which}&limit=200${query}`, signal)
      counts[which] += page.data.length
      after = page.next
    }
  return counts
}
