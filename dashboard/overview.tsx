import { useState } from 'preact/hooks'
import type { NodeView } from '#sdk/views/nodes.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { get, pages } from './api.ts'
import { ChartBox } from './chart-box.tsx'
import { useFeed } from './feed.ts'
import { type Follower, useFollower } from './follow.ts'
import { formatCount, formatDay, formatFigure, formatMillis, shortId } from './format.ts'
import { useLoad } from './load.ts'
import { Card, Chip, Empty, Progress, Show, Sideways, Sparkline, Tile } from './parts.tsx'
import { curvesOf } from './series.ts'
import { isGoing, type Standing, standingOf } from './standing.ts'
import { WORDS } from './words.ts'

type Nodes = { readonly linked: number; readonly known: number }

const RUNS_SHOWN = 6
const RUNS_SHOWN_MAX = 100
/** A browser opens six connections to a place; streams must leave some for the rest. */
const STREAMS_MAX = 3

/** One screen: what is under way, what waits for somebody, who is there. */
export function OverviewPage() {
  const [limit, setLimit] = useState(RUNS_SHOWN)
  const feed = useFeed()
  const [standing, again] = useLoad(
    (signal) => standingOf((path) => get(path, signal), { limit, now: Date.now() }),
    String(limit),
    feed.changes,
  )
  const [counted] = useLoad(countNodes, '', Math.sign(feed.changes))
  const nodes = counted.state === 'ready' ? counted.value : undefined
  return (
    <>
      <div class="heading">
        <h1>{WORDS.overview.title}</h1>
        <Chip state={feed.link} text={WORDS.link[feed.link]} />
      </div>
      <Show loaded={standing} again={again}>
        {(found) => (
          <Found
            {...found}
            known={nodes?.known}
            linked={nodes && (feed.linked ?? nodes.linked)}
            more={() => setLimit(RUNS_SHOWN_MAX)}
          />
        )}
      </Show>
    </>
  )
}

type Shown = Standing & {
  readonly linked: number | undefined
  readonly known: number | undefined
  readonly more: () => void
}

function Found({ runs, counts: { statuses, rounds }, linked, known, hasMore, more, ...alerts }: Shown) {
  const words = WORDS.overview
  const followed = followedOf(runs)
  const going = statuses.funding + statuses.running + statuses.paused + statuses.finishing
  // One that has only begun has no curve yet.
  const drawn = followed.find((run) => run.closed > 0) ?? followed[0]
  return (
    <>
      <dl class="tiles">
        <Tile name={words.running} value={formatCount(going)} note={words.paused(statuses.paused)} />
        <Tile
          name={words.linked}
          value={linked === undefined ? '—' : formatCount(linked)}
          note={known === undefined ? undefined : words.known(Math.max(known, linked ?? 0))}
        />
        <Tile name={words.recent} value={formatCount(rounds.closed)} note={words.aborted(rounds.aborted)} />
        {drawn ? <Overhead key={drawn.id} run={drawn.id} /> : <OverheadTile overheads={[]} />}
      </dl>
      {drawn && <Latest key={drawn.id} run={drawn} />}
      <div class="columns">
        <Card title={words.runs} class="wide">
          {runs.length === 0 ? (
            <Empty text={words.none} hint={words.noneHint} />
          ) : (
            <Sideways label={words.runs}>
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
            </Sideways>
          )}
          {hasMore && (
            <p>
              <button type="button" class="plain" onClick={more}>
                {words.more}
              </button>
            </p>
          )}
        </Card>
        <Alerts {...alerts} linked={linked} />
      </div>
    </>
  )
}

/** The curves of what is looked for first. */
function Latest({ run }: { readonly run: RunView }) {
  const { history, pulse } = useFollower(run.id)
  void pulse.beats.value
  const { loss, scores } = curvesOf(history)
  // The place is there before the curves are: what is below is not moved from under somebody's pointer.
  if (loss.rounds.length < 2)
    return (
      <Card title={WORDS.overview.latest(run.name)}>
        <div class="awaiting">
          <Empty text={WORDS.curves.waiting} hint={WORDS.curves.waitingHint} />
        </div>
      </Card>
    )
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

function Overhead({ run }: { readonly run: string }) {
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

function Alerts({ waiting, pausedBeside, linked }: Pick<Shown, 'waiting' | 'pausedBeside' | 'linked'>) {
  const words = WORDS.overview
  const isCalm = waiting.length === 0 && linked !== 0
  return (
    <Card title={words.alerts}>
      {isCalm && <p class="calm-text">{words.calm}</p>}
      <ul class="alerts">
        {linked === 0 && <li class="warn">{words.noNodes}</li>}
        {waiting.map(({ id, name, status, reason }) => (
          <li key={id} class={status === 'paused' ? 'warn' : 'bad'}>
            <a href={`/runs/${id}`}>{status === 'paused' ? words.alertPaused(name) : words.alertFailed(name)}</a>
            <span class="note">{reason}</span>
          </li>
        ))}
        {pausedBeside > 0 && <li class="warn">{words.pausedBeside(pausedBeside)}</li>}
      </ul>
    </Card>
  )
}

/** Those under way, and else the newest: what it looked like is seen as well when it is over. */
function followedOf(runs: readonly RunView[]): readonly RunView[] {
  const going = runs.filter(isGoing)
  return [...going, ...runs.filter((run) => !going.includes(run))].slice(0, STREAMS_MAX)
}

async function countNodes(signal: AbortSignal): Promise<Nodes> {
  const counts = { linked: 0, known: 0 }
  for await (const nodes of pages<NodeView>('/v1/nodes?which=known', signal)) {
    counts.known += nodes.length
    counts.linked += nodes.filter(({ linked }) => linked).length
  }
  return counts
}
