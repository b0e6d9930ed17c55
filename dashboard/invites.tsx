import { useState } from 'preact/hooks'
import type { z } from 'zod'
import type { coordinatorView, inviteWithCodeView } from '#coordinator/api/federation-schemas.ts'
import type { FederationView, InviteView } from '#sdk/views/federations.ts'
import { create, get, send } from './api.ts'
import { Confirm, Field, FormDialog, type Shown, ToCopy, textIn } from './form.tsx'
import { endOf, formatDay, inDays } from './format.ts'
import { useList } from './load.ts'
import { Chip, Empty, Entry, Show } from './parts.tsx'
import { may } from './session.ts'
import { SETTINGS } from './settings-words.ts'

/** As long as the API says where nobody says anything. */
const DAYS = 14

export function Invites({ federation }: { readonly federation: FederationView }) {
  const path = `/v1/federations/${federation.id}/invites`
  const [loaded, again] = useList<InviteView>(path)
  const [isMaking, setMaking] = useState(false)
  const [revoking, setRevoking] = useState<InviteView>()
  const words = SETTINGS.invites
  return (
    <>
      <div class="line">
        <h3>{words.title}</h3>
        {may('federations:admin') && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            {words.make}
          </button>
        )}
      </div>
      <Show loaded={loaded} again={again}>
        {(invites) => {
          const open = invites.filter((invite) => whyOver(invite) === null)
          const over = invites.filter((invite) => whyOver(invite) !== null)
          return (
            <>
              {open.length === 0 && <Empty text={words.none} />}
              <ul class="entries">
                {open.map((invite) => (
                  <Invite key={invite.id} invite={invite} revoke={() => setRevoking(invite)} />
                ))}
              </ul>
              {over.length > 0 && (
                <details>
                  <summary>{SETTINGS.over(over.length)}</summary>
                  <ul class="entries">
                    {over.map((invite) => (
                      <Invite key={invite.id} invite={invite} />
                    ))}
                  </ul>
                </details>
              )}
            </>
          )
        }}
      </Show>
      {isMaking && <MakeInvite federation={federation} path={path} close={() => setMaking(false)} changed={again} />}
      {revoking && (
        <Confirm
          title={words.revokeTitle}
          lead={words.revokeLead}
          act={SETTINGS.revoke}
          close={() => setRevoking(undefined)}
          confirmed={async () => {
            await send('DELETE', `${path}/${revoking.id}`)
            again()
          }}
        />
      )}
    </>
  )
}

function Invite({ invite, revoke }: { readonly invite: InviteView; readonly revoke?: () => void }) {
  const { id, operator, uses_left, created_at, expires_at } = invite
  const words = SETTINGS.invites
  const over = whyOver(invite)
  const name = operator ? words.for(operator) : words.anybody
  const title = (
    <>
      <b>{name}</b> <code class="note">{id}</code> {over && <Chip state="ended" text={over} />}
    </>
  )
  const facts = [
    over === null && words.left(uses_left),
    SETTINGS.made(formatDay(created_at)),
    over === null && (expires_at ? SETTINGS.until(formatDay(expires_at)) : SETTINGS.forever),
  ]
  const actions = revoke && may('federations:admin') && (
    <button type="button" class="danger" aria-label={`${SETTINGS.revoke} ${name}`} onClick={revoke}>
      {SETTINGS.revoke}
    </button>
  )
  return <Entry title={title} facts={facts} actions={actions} />
}

function whyOver({ uses_left, expires_at, revoked_at }: InviteView): string | null {
  const words = SETTINGS.invites
  if (revoked_at) return words.revoked(formatDay(revoked_at))
  if (uses_left === 0) return words.spent
  return expires_at && Date.parse(expires_at) <= Date.now() ? words.expired(formatDay(expires_at)) : null
}

function MakeInvite(props: {
  readonly federation: FederationView
  readonly path: string
  readonly close: () => void
  readonly changed: () => void
}) {
  const words = SETTINGS.invites
  const submit = async (data: FormData, once: string): Promise<Shown> => {
    // First, so that a code that is made is shown.
    const { fingerprint } = await get<z.output<typeof coordinatorView>>('/v1/coordinator')
    const body = {
      operator: textIn(data, 'operator') || null,
      uses: Number(textIn(data, 'uses')),
      expiresAt: endOf(textIn(data, 'expiresAt')),
    }
    const { code } = await create<z.output<typeof inviteWithCodeView>>(props.path, body, once)
    props.changed()
    return { title: words.made, content: <Made code={code} fingerprint={fingerprint} /> }
  }
  return (
    <FormDialog title={words.makeTitle(props.federation.name)} act={words.make} close={props.close} submit={submit}>
      <Field name="operator" label={words.operator} hint={words.operatorHint}>
        {(named) => <input {...named} autocomplete="off" spellcheck={false} />}
      </Field>
      <Field name="uses" label={words.uses}>
        {(named) => <input {...named} type="number" required min="1" defaultValue="1" />}
      </Field>
      <Field name="expiresAt" label={words.expires} hint={words.expiresHint}>
        {(named) => <input {...named} type="date" defaultValue={inDays(DAYS)} />}
      </Field>
    </FormDialog>
  )
}

/** All that a hospital needs: what to type, and what to compare. */
function Made({ code, fingerprint }: { readonly code: string; readonly fingerprint: string }) {
  const words = SETTINGS.invites
  const isLoopback = ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname)
  return (
    <>
      <p class="banner warn">{SETTINGS.onceLead}</p>
      <ToCopy name={words.code} text={code} />
      <ToCopy name={words.command} text={`consilium node join ${code} --coordinator ${location.origin}`} />
      {isLoopback && <p class="note">{words.loopback}</p>}
      <ToCopy name={words.words} text={fingerprint} />
      <p class="note">{words.wordsLead}</p>
    </>
  )
}
