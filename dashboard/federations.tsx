import { useRef, useState } from 'preact/hooks'
import type { FederationView } from '#sdk/views/federations.ts'
import { ApiProblem, call, create, send } from './api.ts'
import { Confirm, Field, FormDialog, textIn } from './form.tsx'
import { formatDay } from './format.ts'
import { Invites } from './invites.tsx'
import { useList } from './load.ts'
import { Members } from './members.tsx'
import { Card, Empty, Entry, Needs, Show } from './parts.tsx'
import { may, session } from './session.ts'
import { SETTINGS } from './settings-words.ts'

const PATH = '/v1/federations'

export function Federations() {
  const [isFounding, setFounding] = useState(false)
  const [changes, setChanges] = useState(0)
  const words = SETTINGS.federations
  const changed = () => setChanges((last) => last + 1)
  const side = mayFound() && (
    <button type="button" class="primary" onClick={() => setFounding(true)}>
      {words.found}
    </button>
  )
  return (
    <Card title={words.title} side={side}>
      <Needs scope="federations:read">
        <List changes={changes} changed={changed} />
      </Needs>
      {isFounding && <Found close={() => setFounding(false)} changed={changed} />}
    </Card>
  )
}

/** To a key of one federation the others are not there, those that are yet to be founded included. */
function mayFound(): boolean {
  const { value } = session
  return may('federations:admin') && value.kind === 'signed-in' && value.federation === null
}

function List({ changes, changed }: { readonly changes: number; readonly changed: () => void }) {
  const [loaded, again] = useList<FederationView>(PATH, changes)
  const words = SETTINGS.federations
  return (
    <Show loaded={loaded} again={again}>
      {(federations) =>
        federations.length === 0 ? (
          <Empty text={words.none} hint={words.hint} />
        ) : (
          <ul class="entries">
            {federations.map((federation) => (
              <Federation
                key={federation.id}
                federation={federation}
                changed={changed}
                isOnly={federations.length === 1}
              />
            ))}
          </ul>
        )
      }
    </Show>
  )
}

function Federation(props: {
  readonly federation: FederationView
  readonly isOnly: boolean
  readonly changed: () => void
}) {
  const { federation, changed } = props
  const { id, name, description, members, created_at } = federation
  const [isOpen, setOpen] = useState(props.isOnly)
  const [isDissolving, setDissolving] = useState(false)
  const [isRenaming, setRenaming] = useState(false)
  const words = SETTINGS.federations
  const title = (
    <>
      <b>{name}</b> <code class="note">{id}</code>
    </>
  )
  const actions = may('federations:admin') && (
    <>
      <button type="button" aria-label={`${words.rename} ${name}`} onClick={() => setRenaming(true)}>
        {words.rename}
      </button>
      <button type="button" class="danger" aria-label={`${words.dissolve} ${name}`} onClick={() => setDissolving(true)}>
        {words.dissolve}
      </button>
    </>
  )
  return (
    <Entry
      title={title}
      facts={[words.members(members), description, SETTINGS.made(formatDay(created_at))]}
      actions={actions}
    >
      <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{`${SETTINGS.members.title}, ${SETTINGS.invites.title.toLowerCase()}`}</summary>
        {isOpen && (
          <>
            <Members federation={federation} changed={changed} />
            <Invites federation={federation} />
            {!may('federations:admin') && (
              <p>
                <Needs scope="federations:admin" />
              </p>
            )}
          </>
        )}
      </details>
      {isRenaming && <Rename federation={federation} close={() => setRenaming(false)} changed={changed} />}
      {isDissolving && (
        <Confirm
          title={words.dissolveTitle}
          lead={words.dissolveLead(name)}
          act={words.dissolve}
          close={() => setDissolving(false)}
          confirmed={async () => {
            await send('DELETE', `${PATH}/${id}`)
            changed()
          }}
        />
      )}
    </Entry>
  )
}

function Found({ close, changed }: { readonly close: () => void; readonly changed: () => void }) {
  const words = SETTINGS.federations
  const submit = async (data: FormData, once: string): Promise<undefined> => {
    await create(PATH, calledIn(data), once)
    changed()
  }
  return (
    <FormDialog title={words.found} lead={words.hint} act={words.found} close={close} submit={submit}>
      <Called name="" description={null} />
    </FormDialog>
  )
}

/** What somebody else has changed since the list was read is told of first. */
function Rename(props: {
  readonly federation: FederationView
  readonly close: () => void
  readonly changed: () => void
}) {
  const { federation, close, changed } = props
  const seen = useRef(federation)
  const words = SETTINGS.federations
  const submit = async (data: FormData): Promise<undefined> => {
    const path = `${PATH}/${federation.id}`
    const response = await call(path)
    const { name, description } = seen.current
    seen.current = (await response.json()) as FederationView
    if (name !== seen.current.name || description !== seen.current.description)
      throw new ApiProblem(412, 'precondition_failed', words.changedSince(seen.current.name))
    await send('PATCH', path, calledIn(data), response.headers.get('etag') ?? undefined)
    changed()
  }
  return (
    <FormDialog title={words.renameTitle} lead={words.renameLead} act={words.save} close={close} submit={submit}>
      <Called {...federation} />
    </FormDialog>
  )
}

function calledIn(data: FormData) {
  return { name: textIn(data, 'name'), description: textIn(data, 'description') || null }
}

function Called({ name, description }: Pick<FederationView, 'name' | 'description'>) {
  const words = SETTINGS.federations
  return (
    <>
      <Field name="name" label={words.name}>
        {(named) => <input {...named} required autocomplete="off" defaultValue={name} />}
      </Field>
      <Field name="description" label={words.description}>
        {(named) => <input {...named} autocomplete="off" defaultValue={description ?? ''} />}
      </Field>
    </>
  )
}
