import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { get } from './api.ts'
import { useLoad } from './load.ts'
import { Card, Empty, Show } from './parts.tsx'
import { query, refine } from './place.ts'
import {
  byTag,
  curlOf,
  type Description,
  kindOf,
  matches,
  type Operation,
  operationsIn,
  type Parameter,
  type Payload,
  partsOf,
  type Schema,
  type Schemas,
} from './reference.ts'
import { REFERENCE } from './reference-words.ts'
import { Filter } from './table.tsx'

const PATH = '/openapi.json'

/** The API's reference, made of what the coordinator says of itself: the same that clients are made from. */
export function DocsPage() {
  const [loaded, again] = useLoad((signal) => get<Description>(PATH, signal), PATH)
  return (
    <>
      <h1>{REFERENCE.title}</h1>
      <Show loaded={loaded} again={again}>
        {(description) => <Reference description={description} />}
      </Show>
    </>
  )
}

function Reference({ description }: { readonly description: Description }) {
  const search = query.value.get('q') ?? ''
  const all = useMemo(() => operationsIn(description), [description])
  const shown = all.filter((one) => matches(one, search))
  const schemas = description.components?.schemas ?? {}
  const target = useTarget()
  return (
    <>
      <p class="lead">
        {REFERENCE.lead(description.info.version)} <a href={PATH}>{REFERENCE.description}</a>
      </p>
      <Filter
        label={REFERENCE.search}
        value={search}
        set={(value) => refine('q', value === '' ? null : value)}
        shown={shown.length}
        all={all.length}
      />
      {shown.length === 0 && <Empty text={REFERENCE.none} hint={REFERENCE.noneHint} />}
      <nav class="tags" aria-label={REFERENCE.about}>
        {[...byTag(shown).keys()].map((tag) => (
          <a key={tag} href={`#${tag}`}>
            {tag}
          </a>
        ))}
      </nav>
      {[...byTag(shown)].map(([tag, operations]) => (
        <section key={tag} class="card" aria-labelledby={tag}>
          <h2 id={tag} tabIndex={-1}>
            {tag}
          </h2>
          {operations.map((operation) => (
            <Entry key={operation.id} {...{ operation, schemas }} isTarget={target === operation.id} />
          ))}
        </section>
      ))}
    </>
  )
}

/** What the address points to: it is there only once the description is. */
function useTarget(): string {
  const [target, setTarget] = useState(location.hash.slice(1))
  useEffect(() => {
    const look = () => setTarget(location.hash.slice(1))
    addEventListener('hashchange', look)
    return () => removeEventListener('hashchange', look)
  }, [])
  useEffect(() => {
    document.getElementById(target)?.scrollIntoView()
  }, [target])
  return target
}

/** What an operation asks and answers is drawn when it is opened: there are many. */
function Entry(props: { readonly operation: Operation; readonly schemas: Schemas; readonly isTarget: boolean }) {
  const { operation, schemas, isTarget } = props
  const { id, method, path, summary, scope } = operation
  const [isOpen, setOpen] = useState(isTarget)
  useEffect(() => {
    if (isTarget) setOpen(true)
  }, [isTarget])
  return (
    <details id={id} class="operation" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span class={`method ${method === 'GET' ? 'calm' : 'act'}`}>{method}</span> <code>{path}</code>{' '}
        <span>{summary}</span> <span class="note">{scope === null ? REFERENCE.open : REFERENCE.isFor(scope)}</span>
      </summary>
      {isOpen && <Told {...{ operation, schemas }} />}
    </details>
  )
}

function Told({ operation, schemas }: { readonly operation: Operation; readonly schemas: Schemas }) {
  const { id, description, parameters, body, answers } = operation
  const [good, bad] = [answers.filter(({ status }) => status < '400'), answers.filter(({ status }) => status >= '400')]
  return (
    <div class="told">
      {description !== '' && <p>{description}</p>}
      <Line text={curlOf(operation, location.origin)} />
      {parameters.length > 0 && <Parameters parameters={parameters} />}
      {body && <Shown title={REFERENCE.body} payload={body} schemas={schemas} />}
      {good.map(({ status, payloads }) =>
        payloads.length === 0 ? (
          <h3 key={status}>{REFERENCE.answer(status)}</h3>
        ) : (
          payloads.map((payload) => (
            <Shown
              key={`${status} ${payload.type}`}
              title={`${REFERENCE.answer(status)}: ${payload.type}`}
              {...{ payload, schemas }}
            />
          ))
        ),
      )}
      {bad.length > 0 && <p class="note">{REFERENCE.problems(bad.map(({ status }) => status).join(', '))}</p>}
      <p class="note">
        <a href={`#${id}`}>{REFERENCE.address}</a>
      </p>
    </div>
  )
}

function Line({ text }: { readonly text: string }) {
  const [copied, setCopied] = useState(false)
  const copy = () => void navigator.clipboard?.writeText(text).then(() => setCopied(true))
  return (
    <Card
      title={REFERENCE.line}
      class="flat"
      side={
        <button type="button" onClick={copy}>
          {copied ? REFERENCE.copied : REFERENCE.copy}
        </button>
      }
    >
      <pre>{text}</pre>
    </Card>
  )
}

function Parameters({ parameters }: { readonly parameters: readonly Parameter[] }) {
  return (
    <table class="plain-table">
      <caption>{REFERENCE.parameters}</caption>
      <thead>
        <tr>
          {[REFERENCE.parameter, REFERENCE.where, REFERENCE.kind, REFERENCE.meaning].map((name) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {parameters.map(({ name, in: where, required, description, schema = {} }) => (
          <tr key={`${where} ${name}`}>
            <th scope="row">
              <code>{name}</code> {required && <span class="note">{REFERENCE.required}</span>}
            </th>
            <td>{where}</td>
            <td>
              <code>{kindOf(schema)}</code>{' '}
              {schema.default !== undefined && (
                <span class="note">{REFERENCE.byDefault(JSON.stringify(schema.default))}</span>
              )}
            </td>
            <td>{description ?? schema.description ?? '—'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Shown(props: { readonly title: string; readonly payload: Payload; readonly schemas: Schemas }) {
  const { schema, example } = props.payload
  return (
    <>
      <h3>
        {props.title} {schema && <code>{kindOf(schema)}</code>}
      </h3>
      {schema && <Parts schema={schema} schemas={props.schemas} />}
      {example !== undefined && (
        <details>
          <summary>{REFERENCE.example}</summary>
          <pre>{typeof example === 'string' ? example : JSON.stringify(example, null, 2)}</pre>
        </details>
      )}
    </>
  )
}

/** A shape may hold itself: what a part is made of is drawn when that is opened. */
function Parts({ schema, schemas }: { readonly schema: Schema; readonly schemas: Schemas }) {
  const parts = partsOf(schema, schemas)
  if (parts.length === 0) return null
  return (
    <ul class="parts">
      {parts.map(({ name, schema: part, isRequired, description }) => {
        const head = (
          <>
            <code>{name}</code> <span class="note">{kindOf(part)}</span>{' '}
            {isRequired && <span class="note">{REFERENCE.required}</span>}{' '}
            {part.default !== undefined && (
              <span class="note">{REFERENCE.byDefault(JSON.stringify(part.default))}</span>
            )}{' '}
            {description}
          </>
        )
        const isMade = partsOf(part, schemas).length > 0
        return <li key={name}>{isMade ? <Opened head={head} schema={part} schemas={schemas} /> : head}</li>
      })}
    </ul>
  )
}

function Opened(props: { readonly head: ComponentChildren; readonly schema: Schema; readonly schemas: Schemas }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{props.head}</summary>
      {isOpen && <Parts schema={props.schema} schemas={props.schemas} />}
    </details>
  )
}
