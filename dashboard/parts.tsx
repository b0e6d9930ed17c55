import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { ApiProblem } from './api.ts'
import { shortId } from './format.ts'
import type { Loaded } from './load.ts'
import { WORDS } from './words.ts'

/** What pages are made of. */

const SIGNS: Readonly<Record<string, string>> = {
  ...{ running: '●', open: '●', live: '●', linked: '●', funding: '○', finishing: '◐', connecting: '○' },
  ...{ paused: '❚❚', reconnecting: '◌', completed: '✓', closed: '✓', confirmed: '✓', proved: '✓' },
  ...{ failed: '✕', aborted: '✕', doubted: '✕', refused: '✕', stopped: '■', ended: '■', away: '○', unchecked: '–' },
}
const TONES: Readonly<Record<string, string>> = {
  ...{ running: 'act', open: 'act', live: 'good', linked: 'good', finishing: 'act', funding: 'act' },
  ...{ paused: 'warn', reconnecting: 'warn', completed: 'good', closed: 'good', confirmed: 'good' },
  ...{ failed: 'bad', aborted: 'bad', doubted: 'bad', refused: 'bad' },
}

/** A state: by a sign and a word, and by colour besides. */
export function Chip({ state, text }: { readonly state: string; readonly text?: string }) {
  return (
    <span class={`chip ${TONES[state] ?? 'calm'}`}>
      <span aria-hidden="true">{SIGNS[state] ?? '–'}</span> {text ?? WORDS.status[state] ?? state}
    </span>
  )
}

export function Card(props: {
  readonly title?: string
  readonly side?: ComponentChildren
  readonly class?: string
  readonly children: ComponentChildren
}) {
  return (
    <section class={`card ${props.class ?? ''}`}>
      {(props.title || props.side) && (
        <header>
          {props.title && <h2>{props.title}</h2>}
          {props.side && <div class="side">{props.side}</div>}
        </header>
      )}
      {props.children}
    </section>
  )
}

export function Tile(props: { readonly name: string; readonly value: string; readonly note?: string | undefined }) {
  return (
    <div class="tile">
      <dt>{props.name}</dt>
      <dd>{props.value}</dd>
      {props.note && <dd class="note">{props.note}</dd>}
    </div>
  )
}

export function Empty(props: { readonly text: string; readonly hint?: string | undefined }) {
  return (
    <div class="empty">
      <p>{props.text}</p>
      {props.hint && <p class="note">{props.hint}</p>}
    </div>
  )
}

/** What there is once it is there; before that, and instead of it, what is the matter. */
export function Show<T>(props: {
  readonly loaded: Loaded<T>
  readonly again: () => void
  readonly children: (value: T) => ComponentChildren
}) {
  const { loaded } = props
  if (loaded.state === 'ready') return <>{props.children(loaded.value)}</>
  if (loaded.state === 'failed') return <Trouble problem={loaded.problem} again={props.again} />
  return (
    <p class="empty note" role="status">
      {WORDS.loading}
    </p>
  )
}

export function Trouble({ problem, again }: { readonly problem: ApiProblem; readonly again: () => void }) {
  const isAbsent =
    problem.status === 404 && problem.code === 'not_found' && /^there is no (GET|POST) /.test(problem.message)
  return (
    <div class="empty" role={isAbsent ? undefined : 'alert'}>
      <p>{isAbsent ? WORDS.failed.absent : meaningOf(problem)}</p>
      <p class="note">{problem.message}</p>
      {!isAbsent && (
        <p>
          <button type="button" onClick={again}>
            {WORDS.again}
          </button>
        </p>
      )}
    </div>
  )
}

function meaningOf({ status }: ApiProblem): string {
  if (status === 0) return WORDS.failed.unreachable
  if (status === 403) return WORDS.failed.forbidden
  return status === 404 ? WORDS.failed.missing : WORDS.failed.title
}

/** An id or CID, whole for whoever copies it. */
export function Id({ id, name }: { readonly id: string; readonly name: string }) {
  const [copied, setCopied] = useState(false)
  const copy = () =>
    void navigator.clipboard?.writeText(id).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), 1500)
    })
  return (
    <button type="button" class="id" title={id} aria-label={`${WORDS.copy(name)} ${shortId(id)}`} onClick={copy}>
      <code>{copied ? WORDS.copied : shortId(id)}</code>
    </button>
  )
}

export function Progress({ done, all, name }: { readonly done: number; readonly all: number; readonly name: string }) {
  return (
    <span class="progress">
      <progress value={done} max={Math.max(1, all)} aria-label={name} /> <span>{`${done}/${all}`}</span>
    </span>
  )
}

/** The browser's own dialog: it keeps the focus within, and Escape closes it. */
export function Confirm(props: {
  readonly title: string
  readonly lead: string
  readonly act: string
  readonly asksReason: boolean
  readonly close: () => void
  readonly confirmed: (reason: string) => Promise<void>
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [reason, setReason] = useState('')
  const [problem, setProblem] = useState('')
  useLayoutEffect(() => dialog.current?.showModal(), [])
  const submit = (event: Event) => {
    event.preventDefault()
    props.confirmed(reason.trim()).then(
      () => dialog.current?.close(),
      (cause: Error) => setProblem(cause.message),
    )
  }
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={props.close}>
      <form onSubmit={submit}>
        <h2 id="confirm-title">{props.title}</h2>
        <p>{props.lead}</p>
        {props.asksReason && (
          <label>
            {WORDS.run.reason}
            <input
              required
              maxLength={100}
              value={reason}
              onInput={(event) => setReason(event.currentTarget.value)}
              autocomplete="off"
            />
          </label>
        )}
        <p role="alert" class="problem">
          {problem}
        </p>
        <p class="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            {WORDS.run.cancel}
          </button>
          <button type="submit" class="danger">
            {props.act}
          </button>
        </p>
      </form>
    </dialog>
  )
}

/** A curve without axes. @param label says it in words */
export function Sparkline({ values, label }: { readonly values: readonly number[]; readonly label: string }) {
  if (values.length < 2) return <span class="note">—</span>
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const [width, height] = [96, 26]
  const points = values.map((value, index) => {
    const x = 2 + (index / (values.length - 1)) * (width - 8)
    const y = high === low ? height / 2 : 3 + (1 - (value - low) / (high - low)) * (height - 6)
    return [x, y] as const
  })
  const [x, y] = points.at(-1) as readonly [number, number]
  return (
    <svg class="spark" role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
      <polyline points={points.map((point) => point.map((part) => part.toFixed(1)).join(',')).join(' ')} />
      <circle cx={x} cy={y} r="2.5" />
    </svg>
  )
}
