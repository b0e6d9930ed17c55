import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { Scope } from '#coordinator/api/caller.ts'
import type { ApiProblem } from './api.ts'
import { shortId } from './format.ts'
import type { Loaded } from './load.ts'
import { may } from './session.ts'
import { WORDS } from './words.ts'

/** What pages are made of. */

const SIGNS: Readonly<Record<string, string>> = {
  ...{ running: '●', open: '●', live: '●', linked: '●', funding: '○', finishing: '◐', connecting: '○' },
  ...{ paused: '❚❚', drained: '❚❚', reconnecting: '◌', completed: '✓', closed: '✓', confirmed: '✓', proved: '✓' },
  ...{ delivered: '✓', 'gave-up': '✕' },
  ...{ failed: '✕', aborted: '✕', doubted: '✕', refused: '✕', stopped: '■', ended: '■', away: '○', unchecked: '–' },
}
const TONES: Readonly<Record<string, string>> = {
  ...{ running: 'act', open: 'act', live: 'good', linked: 'good', finishing: 'act', funding: 'act' },
  ...{ paused: 'warn', drained: 'warn', reconnecting: 'warn', completed: 'good', closed: 'good', confirmed: 'good' },
  ...{ delivered: 'good', 'gave-up': 'bad' },
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
          {props.title && <h2 tabIndex={-1}>{props.title}</h2>}
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
      {!isAbsent && problem.status !== 403 && (
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

/** What the key that signed in may do; where it may not, which scope that takes. */
export function Needs({ scope, children }: { readonly scope: Scope; readonly children?: ComponentChildren }) {
  return may(scope) ? children : <span class="note">{WORDS.needs(scope)}</span>
}

/** What may be wider than the window scrolls by itself, by the keyboard too. */
export function Sideways(props: {
  readonly label: string
  readonly class?: string
  readonly children: ComponentChildren
}) {
  return (
    <section
      class={`sideways ${props.class ?? ''}`}
      aria-label={props.label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
      tabIndex={0}
    >
      {props.children}
    </section>
  )
}

/** One of a list: what it is, what there is to know of it, what can be done with it. */
export function Entry(props: {
  readonly title: ComponentChildren
  readonly facts: readonly ComponentChildren[]
  readonly actions?: ComponentChildren
  readonly children?: ComponentChildren
}) {
  return (
    <li class="entry">
      <div class="line">
        <div>
          <p class="facts">{props.title}</p>
          <p class="facts note">
            {props.facts.filter(Boolean).map((fact, index) => (
              <span key={index}>{fact}</span>
            ))}
          </p>
        </div>
        <div class="actions">{props.actions}</div>
      </div>
      {props.children}
    </li>
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
