import { useState } from 'preact/hooks'
import type { z } from 'zod'
import type { madeKeyView } from '#coordinator/api/keys.ts'
import type { ApiKeyView } from '#sdk/views/access.ts'
import type { FederationView } from '#sdk/views/federations.ts'
import { create, get, type Page, send } from './api.ts'
import { Choice, Choices, Confirm, Field, FormDialog, type Shown, ToCopy, textIn } from './form.tsx'
import { endOf, formatDay, inDays } from './format.ts'
import { useList, useLoad } from './load.ts'
import { Card, Chip, Empty, Entry, Needs, Show } from './parts.tsx'
import { may, session } from './session.ts'
import { SETTINGS } from './settings-words.ts'

const PATH = '/v1/api-keys'
/** What a key is good for unless somebody says otherwise: one that is forgotten is not good for ever. */
const DAYS = 90

export function Keys() {
  const [isMaking, setMaking] = useState(false)
  const [made, setMade] = useState(0)
  const words = SETTINGS.keys
  const side = may('keys:admin') && (
    <button type="button" class="primary" onClick={() => setMaking(true)}>
      {words.make}
    </button>
  )
  return (
    <Card title={words.title} side={side}>
      <Needs scope="keys:admin">
        <List made={made} />
      </Needs>
      {isMaking && <MakeKey close={() => setMaking(false)} made={() => setMade(made + 1)} />}
    </Card>
  )
}

function List({ made }: { readonly made: number }) {
  const [loaded, again] = useList<ApiKeyView>(PATH, made)
  const [revoking, setRevoking] = useState<ApiKeyView>()
  const words = SETTINGS.keys
  return (
    <>
      <Show loaded={loaded} again={again}>
        {(keys) => {
          const good = keys.filter((key) => whyOver(key) === null)
          const over = keys.filter((key) => whyOver(key) !== null)
          return (
            <>
              {good.length === 0 && <Empty text={words.none} hint={words.hint} />}
              <ul class="entries">
                {good.map((key) => (
                  <Key key={key.id} of={key} revoke={() => setRevoking(key)} />
                ))}
              </ul>
              {over.length > 0 && (
                <details>
                  <summary>{SETTINGS.over(over.length)}</summary>
                  <ul class="entries">
                    {over.map((key) => (
                      <Key key={key.id} of={key} />
                    ))}
                  </ul>
                </details>
              )}
            </>
          )
        }}
      </Show>
      {revoking && (
        <Confirm
          title={words.revokeTitle}
          lead={[words.revokeLead(revoking.name), isOwn(revoking) && words.revokeOwn].filter(Boolean).join(' ')}
          act={SETTINGS.revoke}
          close={() => setRevoking(undefined)}
          confirmed={async () => {
            await send('DELETE', `${PATH}/${revoking.id}`)
            again()
          }}
        />
      )}
    </>
  )
}

function Key({ of: key, revoke }: { readonly of: ApiKeyView; readonly revoke?: () => void }) {
  const words = SETTINGS.keys
  const title = (
    <>
      <b>{key.name}</b> <code class="note">{key.id}</code> {isOwn(key) && <Chip state="live" text={words.yours} />}
    </>
  )
  const facts = [
    key.scopes.join(', '),
    key.federation && words.of(key.federation),
    SETTINGS.made(formatDay(key.created_at)),
    key.last_used_at ? words.lastUsed(formatDay(key.last_used_at)) : words.unused,
    whyOver(key) ?? (key.expires_at ? SETTINGS.until(formatDay(key.expires_at)) : SETTINGS.forever),
  ]
  const actions = revoke && (
    <button type="button" class="danger" aria-label={`${SETTINGS.revoke} ${key.name}`} onClick={revoke}>
      {SETTINGS.revoke}
    </button>
  )
  return <Entry title={title} facts={facts} actions={actions} />
}

function whyOver({ revoked_at, expires_at }: ApiKeyView): string | null {
  if (revoked_at) return SETTINGS.keys.revoked(formatDay(revoked_at))
  return expires_at && Date.parse(expires_at) <= Date.now() ? SETTINGS.keys.expired(formatDay(expires_at)) : null
}

function isOwn({ id }: ApiKeyView): boolean {
  const { value } = session
  return value.kind === 'signed-in' && value.id === id
}

function MakeKey({ close, made }: { readonly close: () => void; readonly made: () => void }) {
  const words = SETTINGS.keys
  const submit = async (data: FormData, once: string): Promise<Shown> => {
    const body = {
      name: textIn(data, 'name'),
      scopes: data.getAll('scopes'),
      federation: textIn(data, 'federation') || null,
      expiresAt: endOf(textIn(data, 'expiresAt')),
    }
    const { key } = await create<z.output<typeof madeKeyView>>(PATH, body, once)
    made()
    const content = (
      <>
        <p class="banner warn">{SETTINGS.onceLead}</p>
        <ToCopy name={words.key} text={key} />
        <p class="note">{words.usage}</p>
      </>
    )
    return { title: words.made, content }
  }
  const scopes = Object.entries(SETTINGS.scopes) as [keyof typeof SETTINGS.scopes, string][]
  return (
    <FormDialog title={words.make} act={words.make} close={close} submit={submit}>
      <Field name="name" label={words.name} hint={words.nameHint}>
        {(named) => <input {...named} required autocomplete="off" />}
      </Field>
      <Choices name="scopes" label={words.scopes}>
        {scopes.map(([scope, note]) => (
          <Choice
            key={scope}
            name="scopes"
            value={scope}
            note={may(scope) ? note : `${note}: ${words.notYours}`}
            isChosen={scope === 'runs:read' && may(scope)}
            isBarred={!may(scope)}
          />
        ))}
      </Choices>
      <FederationField />
      <Field name="expiresAt" label={words.expires} hint={words.expiresHint}>
        {(named) => <input {...named} type="date" defaultValue={inDays(DAYS)} />}
      </Field>
    </FormDialog>
  )
}

/** A key that is of a federation itself gives none that is of another. */
function FederationField() {
  const { value } = session
  const own = value.kind === 'signed-in' ? value.federation : null
  const [loaded] = useLoad(async (signal): Promise<readonly FederationView[]> => {
    return may('federations:read') ? (await get<Page<FederationView>>('/v1/federations?limit=200', signal)).data : []
  }, 'federations')
  const found = loaded.state === 'ready' ? loaded.value : []
  const known = found.length === 0 && own !== null ? [{ id: own, name: own }] : found
  return (
    <Field name="federation" label={SETTINGS.keys.federation} hint={SETTINGS.keys.federationHint}>
      {(named) => (
        <select {...named}>
          {own === null && <option value="">{SETTINGS.keys.all}</option>}
          {known.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}
