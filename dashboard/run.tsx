import { useEffect, useRef, useState } from 'preact/hooks'
import type { RunView } from '#sdk/views/runs.ts'
import { get, send } from './api.ts'
import { Curves } from './curves.tsx'
import { type Follower, useFollower } from './follow.ts'
import { Confirm } from './form.tsx'
import { formatBytes, formatCredits, formatFigure, formatMillis } from './format.ts'
import type { Figures } from './history.ts'
import { useLoad } from './load.ts'
import { Logs } from './logs.tsx'
import { Matrix } from './matrix.tsx'
import { Chip, Id, Needs, Show, Tile } from './parts.tsx'
import { Rounds } from './rounds.tsx'
import { RUN_TABS, type RunTab } from './route.ts'
import { TimelineView } from './timeline.tsx'
import { WORDS } from './words.ts'

/** A screen reader is told how it goes this often at most. */
const SAID_MILLIS = 10_000

export function RunPage({ run, tab }: { readonly run: string; readonly tab: RunTab }) {
  const [loaded, again] = useLoad((signal) => get<RunView>(`/v1/runs/${encodeURIComponent(run)}`, signal), run)
  return (
    <>
      {loaded.state !== 'ready' && <h1>{run}</h1>}
      <Show loaded={loaded} again={again}>
        {(view) => <Run view={view} tab={tab} again={again} />}
      </Show>
    </>
  )
}

function Run({ view, tab, again }: { readonly view: RunView; readonly tab: RunTab; readonly again: () => void }) {
  const follower = useFollower(view.id)
  const { history, pulse, link } = follower
  void pulse.beats.value
  // What only the run itself tells, such as what was paid, is asked for when its state has changed.
  const stage = `${history.end?.outcome} ${history.pausedFor}`
  const known = useRef(stage)
  useEffect(() => {
    if (known.current !== stage) again()
    known.current = stage
  }, [stage])
  const status = history.end?.outcome ?? (history.pausedFor === null ? view.status : 'paused')
  const reason = history.end ? history.end.reason : (history.pausedFor ?? view.reason)
  const words = WORDS.run
  return (
    <>
      <div class="heading">
        <div>
          <h1>{view.name}</h1>
          <p class="facts">
            <Chip state={status} />
            {link.value !== 'ended' && <Chip state={link.value} text={WORDS.link[link.value]} />}
            <span class="note">{words.masking[view.masking] ?? view.masking}</span>
            <Id id={view.id} name={WORDS.overview.run} />
          </p>
        </div>
        <Actions view={view} status={status} again={again} />
      </div>
      {reason && (
        <p class={`banner ${status === 'completed' ? 'calm' : 'warn'}`}>
          {status === 'paused' ? words.pausedFor(reason) : words.endedFor(reason)}
        </p>
      )}
      <Summary view={view} follower={follower} />
      <nav class="tabs" aria-label={words.tabsLabel}>
        {RUN_TABS.map((name) => (
          <a
            key={name}
            href={`/runs/${view.id}${name === 'curves' ? '' : `/${name}`}`}
            aria-current={name === tab ? 'page' : undefined}
          >
            {words.tabs[name]}
          </a>
        ))}
      </nav>
      {tab === 'curves' && <Curves run={view} follower={follower} />}
      {tab === 'timeline' && <TimelineView follower={follower} />}
      {tab === 'rounds' && <Rounds run={view.id} follower={follower} />}
      {tab === 'matrix' && <Matrix run={view} follower={follower} />}
      {tab === 'logs' && <Logs follower={follower} />}
    </>
  )
}

function Summary({ view, follower: { history } }: { readonly view: RunView; readonly follower: Follower }) {
  const { rounds, planned, closed } = history
  const last = rounds.findLast(({ outcome, purpose }) => outcome === 'closed' && purpose === 'train')
  const open = rounds.at(-1)
  const figures = rounds.findLast(({ made }) => made !== null)?.made ?? history.genesis
  const all = planned || view.rounds
  const loss = { name: WORDS.run.loss, value: figures?.loss ?? null }
  const score = scoreOf(figures)
  const shown = open?.outcome === 'open' ? open : last
  const words = WORDS.run
  return (
    <>
      <dl class="tiles small">
        <Tile name={words.round} value={words.of(closed, all)} />
        <Tile name={words.loss} value={formatFigure(figures?.loss)} />
        {score && <Tile name={score.name} value={formatFigure(score.value)} />}
        <Tile name={words.sites} value={shown ? `${shown.reports}/${shown.cohort || shown.invited}` : '—'} />
        <Tile name={words.train} value={last ? formatMillis(last.trainMillis) : '—'} />
        <Tile name={words.overhead} value={last ? formatMillis(last.overheadMillis) : '—'} />
        <Tile name={words.bytes} value={last ? formatBytes(last.bytesPerNode) : '—'} />
        <Tile
          name={words.budget}
          value={formatCredits(paidOf(view, rounds))}
          note={`/ ${formatCredits(view.budget)}`}
        />
      </dl>
      <Said text={words.summary(closed, all, [loss, ...(score ? [score] : [])].map(textOf).join(', '))} />
    </>
  )
}

type Score = { readonly name: string; readonly value: number | null }

/** What a model is judged by beside its loss: of numbers the first figure that their task asks for. */
function scoreOf(figures: Figures | null): Score | undefined {
  if (figures?.accuracy === null) return figures.figures?.[0]
  return { name: WORDS.run.accuracy, value: figures?.accuracy ?? null }
}

function textOf({ name, value }: Score): string {
  return `${name.toLowerCase()} ${formatFigure(value)}`
}

function paidOf({ paid }: RunView, rounds: Follower['history']['rounds']): bigint {
  const told = rounds.reduce((sum, round) => sum + round.paid, 0n)
  return told > BigInt(paid) ? told : BigInt(paid)
}

/** Says a line when it has changed, and not again for a while: ten times a second nobody can listen. */
function Said({ text }: { readonly text: string }) {
  const [said, setSaid] = useState(text)
  const newest = useRef(text)
  newest.current = text
  useEffect(() => {
    const timer = setInterval(() => setSaid(newest.current), SAID_MILLIS)
    return () => clearInterval(timer)
  }, [])
  return (
    <p class="unseen" aria-live="polite">
      {said}
    </p>
  )
}

function Actions(props: { readonly view: RunView; readonly status: string; readonly again: () => void }) {
  const { view, status, again } = props
  const [asked, setAsked] = useState<'pause' | 'stop'>()
  const words = WORDS.run
  const path = `/v1/runs/${view.id}`
  const act = async (what: string, body?: object): Promise<void> => {
    await send('POST', `${path}/${what}`, body)
    again()
  }
  const isOver = ['completed', 'failed', 'stopped'].includes(status)
  return (
    <div class="actions">
      {!isOver && status !== 'finishing' && (
        <Needs scope="runs:write">
          {status === 'running' && (
            <button type="button" onClick={() => setAsked('pause')}>
              {words.pause}
            </button>
          )}
          {status === 'paused' && (
            <button type="button" class="primary" onClick={() => void act('resume').catch(again)}>
              {words.resume}
            </button>
          )}
          <button type="button" class="danger" onClick={() => setAsked('stop')}>
            {words.stop}
          </button>
        </Needs>
      )}
      {isOver && (
        <>
          <a class="button" href={`/models/${view.id}`}>
            {words.card}
          </a>
          <a class="button primary" href={`/verify?run=${view.id}`}>
            {words.verify}
          </a>
        </>
      )}
      {asked && (
        <Confirm
          title={asked === 'stop' ? words.stopTitle : words.pauseTitle}
          lead={asked === 'stop' ? words.stopLead : words.pauseLead}
          act={words[asked]}
          asksReason
          close={() => setAsked(undefined)}
          confirmed={(reason) => act(asked, { reason })}
        />
      )}
    </div>
  )
}
