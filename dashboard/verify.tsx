import { useEffect, useRef, useState } from 'preact/hooks'
import type { RunView } from '#sdk/views/runs.ts'
import { call, get, type Page } from './api.ts'
import { formatBytes, formatCount, formatCredits, formatFigure } from './format.ts'
import { problemOf, useLoad } from './load.ts'
import { Card, Id } from './parts.tsx'
import { query } from './place.ts'
import { session } from './session.ts'
import type { Found, FromVerifier, ToVerifier } from './verifier.ts'
import { WORDS } from './words.ts'

type Steps = readonly { readonly name: string; readonly steps: readonly string[] }[]
type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'fetching'; readonly bytes: number }
  | { readonly kind: 'working'; readonly rounds: number; readonly round: number }
  | { readonly kind: 'done'; readonly verdict: Found }
  | { readonly kind: 'broken'; readonly detail: string }

/** Redoes a record here: from a file, or one of this coordinator's runs. */
export function VerifyPage() {
  const words = WORDS.verify
  const [state, setState] = useState<State>({ kind: 'idle' })
  const [steps, setSteps] = useState<Steps>([])
  const [key, setKey] = useState('')
  const [isOver, setOver] = useState(false)
  const worker = useVerifier(setState, setSteps)
  const verify = (file: Blob) => {
    setSteps([])
    setState({ kind: 'working', rounds: 0, round: 0 })
    worker.start({ file, coordinator: key.trim(), expect: '' })
  }
  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    const file = event.dataTransfer?.files[0]
    if (file) verify(file)
  }
  const isBusy = state.kind === 'fetching' || state.kind === 'working'
  return (
    <>
      <h1>{words.title}</h1>
      <p class="lead">{words.lead}</p>
      <div class="columns even">
        <Card>
          <label class="stacked">
            {words.pin}
            <input
              value={key}
              autocomplete="off"
              onInput={(event) => setKey(event.currentTarget.value)}
              aria-describedby="pin-hint"
            />
          </label>
          <p id="pin-hint" class="note">
            {words.pinHint}
          </p>
          {/* biome-ignore lint/a11y/noStaticElementInteractions: the button within does the same by the keyboard. */}
          <div
            class={isOver ? 'drop over' : 'drop'}
            onDragOver={(event) => {
              event.preventDefault()
              setOver(true)
            }}
            onDragLeave={() => setOver(false)}
            onDrop={drop}
          >
            <p>{words.drop}</p>
            <label class="button">
              {words.choose}
              <input
                type="file"
                class="unseen"
                accept=".car"
                disabled={isBusy}
                onChange={(event) => {
                  const file = event.currentTarget.files?.[0]
                  if (file) verify(file)
                }}
              />
            </label>
          </div>
          {session.value.kind === 'signed-in' && <FromRun isBusy={isBusy} setState={setState} verify={verify} />}
        </Card>
        <Card title={words.steps}>
          <Result state={state} steps={steps} />
          {isBusy && (
            <p>
              <button type="button" onClick={() => worker.stop()}>
                {words.cancel}
              </button>
            </p>
          )}
        </Card>
      </div>
    </>
  )
}

const ENDED = '/v1/runs?status=completed,failed,stopped&limit=100'

function FromRun(props: {
  readonly isBusy: boolean
  readonly setState: (state: State) => void
  readonly verify: (file: Blob) => void
}) {
  const words = WORDS.verify
  const named = query.value.get('run')
  const [run, setRun] = useState(named ?? '')
  const [loaded] = useLoad((signal) => get<Page<RunView>>(ENDED, signal), '')
  const ended = loaded.state === 'ready' ? loaded.value.data.filter(({ manifest }) => manifest !== null) : []
  const fetchIt = async (event: Event) => {
    event.preventDefault()
    try {
      props.verify(await bundleOf(run, (bytes) => props.setState({ kind: 'fetching', bytes })))
    } catch (cause) {
      props.setState({ kind: 'broken', detail: problemOf(cause).message })
    }
  }
  return (
    <form onSubmit={fetchIt} class="stacked">
      <label class="stacked">
        {words.or}
        <select value={run} required onChange={(event) => setRun(event.currentTarget.value)}>
          <option value="">{words.pick}</option>
          {/* The one in the address may be older than all of the list, which may not be here yet. */}
          {run !== '' && ended.every(({ id }) => id !== run) && <option value={run}>{run}</option>}
          {ended.map(({ id, name }) => (
            <option key={id} value={id}>
              {`${name} · ${id}`}
            </option>
          ))}
        </select>
      </label>
      <p>
        <button type="submit" class="primary" disabled={props.isBusy || run === ''}>
          {words.act}
        </button>
      </p>
    </form>
  )
}

/** With its vectors where they are kept still; else without them, and then the verdict says so. */
async function bundleOf(run: string, told: (bytes: number) => void): Promise<Blob> {
  const path = `/v1/runs/${encodeURIComponent(run)}/bundle`
  const response = await call(path).catch((cause) => {
    if (problemOf(cause).code === 'vectors_expired') return call(`${path}?vectors=no`)
    throw cause
  })
  const pieces: Uint8Array<ArrayBuffer>[] = []
  let bytes = 0
  const reader = response.body?.getReader()
  for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
    pieces.push(read.value)
    bytes += read.value.length
    told(bytes)
  }
  return new Blob(pieces)
}

/** A thread that is started with the page, so that verifying needs no network any more. */
function useVerifier(setState: (state: State) => void, setSteps: (next: (last: Steps) => Steps) => void) {
  const worker = useRef<Worker>(undefined)
  /** Why there is no thread: it would never answer. */
  const broken = useRef<string>(undefined)
  const open = () => {
    const made = new Worker(document.documentElement.dataset['verifier'] as string, { type: 'module' })
    made.onmessage = ({ data }: MessageEvent<FromVerifier>) => {
      if (data.kind === 'step') {
        const { step, round, rounds } = data.at
        setState({ kind: 'working', rounds: rounds ?? 0, round: round ?? 0 })
        setSteps((last) => added(last, round === undefined ? step : WORDS.verify.roundSteps(round), step))
      } else
        setState(
          data.kind === 'verdict' ? { kind: 'done', verdict: data.verdict } : { kind: 'broken', detail: data.detail },
        )
    }
    made.onerror = ({ message }) => {
      broken.current = message || WORDS.verify.noThread
      setState({ kind: 'broken', detail: broken.current })
    }
    worker.current = made
  }
  useEffect(() => {
    open()
    return () => worker.current?.terminate()
  }, [])
  return {
    start: (order: ToVerifier) => {
      if (broken.current !== undefined) setState({ kind: 'broken', detail: broken.current })
      else worker.current?.postMessage(order)
    },
    stop: () => {
      worker.current?.terminate()
      open()
      setState({ kind: 'idle' })
    },
  }
}

function added(last: Steps, name: string, step: string): Steps {
  const open = last.at(-1)
  if (open?.name === name) return [...last.slice(0, -1), { name, steps: [...open.steps, step] }]
  return [...last, { name, steps: [step] }]
}

function Result({ state, steps }: { readonly state: State; readonly steps: Steps }) {
  const words = WORDS.verify
  const failed = state.kind === 'done' && !state.verdict.ok ? state.verdict : undefined
  return (
    <>
      <div role="status">
        {state.kind === 'idle' && <p class="note">{words.drop}</p>}
        {state.kind === 'fetching' && <p>{words.fetching(formatBytes(state.bytes))}</p>}
        {state.kind === 'working' && (
          <p>
            {words.working}{' '}
            {state.rounds > 0 && <progress value={state.round} max={state.rounds} aria-label={words.working} />}
          </p>
        )}
        {state.kind === 'broken' && <Verdict tone="bad" title={words.broken} lead={state.detail} />}
        {failed && (
          <Verdict tone="bad" title={words.failed} lead={`${words.failedAt(failed.step)}: ${failed.detail}`} />
        )}
        {state.kind === 'done' && state.verdict.ok && <Proof verdict={state.verdict} />}
      </div>
      <ol class="steps">
        {steps.map(({ name, steps: within }, index) => {
          const isLast = index === steps.length - 1
          const isBad = isLast && failed !== undefined
          const isOpen = isLast && state.kind === 'working'
          return (
            <li key={name} class={isBad ? 'bad' : isOpen ? 'open' : 'good'}>
              <span aria-hidden="true">{isBad ? '✕' : isOpen ? '…' : '✓'}</span> <b>{name}</b>{' '}
              <span class="unseen">{isBad ? words.bad : isOpen ? '' : words.ok}</span>
              {within.length > 1 && <span class="note">{within.join(' · ')}</span>}
            </li>
          )
        })}
      </ol>
    </>
  )
}

function Verdict({
  tone,
  title,
  lead,
}: {
  readonly tone: 'good' | 'bad'
  readonly title: string
  readonly lead: string
}) {
  return (
    <div class={`verdict ${tone}`}>
      <p class="title">
        <span aria-hidden="true">{tone === 'good' ? '✓' : '✕'}</span> {title}
      </p>
      <p>{lead}</p>
    </div>
  )
}

function Proof({ verdict }: { readonly verdict: Extract<Found, { readonly ok: true }> }) {
  const words = WORDS.verify
  const { checked, coordinator, pinned } = verdict
  const rounds = 'rounds' in verdict ? verdict.rounds : [verdict.round]
  const unadded = rounds.filter(({ vectors }) => vectors === 'committed' || vectors === 'expired').length
  return (
    <>
      <Verdict tone="good" title={words.proved} lead={words.provedLead(rounds.length, verdict.nodes.length)} />
      {!pinned && <p class="banner warn">{words.unpinned}</p>}
      {unadded > 0 && <p class="banner warn">{words.committed(unadded)}</p>}
      <dl class="pairs">
        <dt>{words.facts.coordinator}</dt>
        <dd>
          <Id id={coordinator} name={words.facts.coordinator} />
        </dd>
        {'model' in verdict && (
          <>
            <dt>{words.facts.model}</dt>
            <dd>
              <Id id={verdict.model} name={words.facts.model} />
            </dd>
            <dt>{words.facts.accuracy}</dt>
            <dd>{formatFigure(verdict.accuracy)}</dd>
          </>
        )}
        {'paid' in verdict && (
          <>
            <dt>{words.facts.paid}</dt>
            <dd>{formatCredits(verdict.paid)}</dd>
          </>
        )}
        <dt>{words.facts.checked}</dt>
        <dd>
          {words.checked(formatCount(checked.blocks), formatBytes(checked.bytes), formatCount(checked.signatures))}
        </dd>
      </dl>
    </>
  )
}
