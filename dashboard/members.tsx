import { useState } from 'preact/hooks'
import type { FederationView, MemberView } from '#sdk/views/federations.ts'
import { send } from './api.ts'
import { Confirm, Field, FormDialog, textIn } from './form.tsx'
import { formatDay, shortId } from './format.ts'
import { useList } from './load.ts'
import { Chip, Empty, Entry, Id, Show } from './parts.tsx'
import { may } from './session.ts'
import { SETTINGS } from './settings-words.ts'
import { WORDS } from './words.ts'

/** @param props.changed the federation counts its members */
export function Members(props: { readonly federation: FederationView; readonly changed: () => void }) {
  const path = `/v1/federations/${props.federation.id}/members`
  const [loaded, again] = useList<MemberView>(path)
  const [isAdding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<MemberView>()
  const words = SETTINGS.members
  const changed = () => {
    again()
    props.changed()
  }
  return (
    <>
      <div class="line">
        <h3>{words.title}</h3>
        {may('federations:admin') && (
          <button type="button" onClick={() => setAdding(true)}>
            {words.add}
          </button>
        )}
      </div>
      <Show loaded={loaded} again={again}>
        {(members) =>
          members.length === 0 ? (
            <Empty text={words.none} />
          ) : (
            <ul class="entries">
              {members.map((member) => (
                <Member key={member.node} member={member} remove={() => setRemoving(member)} />
              ))}
            </ul>
          )
        }
      </Show>
      {isAdding && <AddMember path={path} close={() => setAdding(false)} changed={changed} />}
      {removing && (
        <Confirm
          title={words.removeTitle}
          lead={words.removeLead(nameOf(removing))}
          act={words.remove}
          close={() => setRemoving(undefined)}
          confirmed={async () => {
            await send('DELETE', `${path}/${removing.node}`)
            changed()
          }}
        />
      )}
    </>
  )
}

function Member({ member, remove }: { readonly member: MemberView; readonly remove: () => void }) {
  const { node, operator, linked, joined_at, via } = member
  const words = SETTINGS.members
  const title = (
    <>
      {operator && <b>{operator}</b>} <Id id={node} name={words.node} /> <Chip state={linked ? 'linked' : 'away'} />
    </>
  )
  const actions = may('federations:admin') && (
    <button type="button" class="danger" aria-label={`${words.remove} ${nameOf(member)}`} onClick={remove}>
      {words.remove}
    </button>
  )
  return <Entry title={title} facts={[words.since(formatDay(joined_at)), words.via[via]]} actions={actions} />
}

function nameOf({ operator, node }: MemberView): string {
  return operator ? `${operator}, ${shortId(node)}` : `${WORDS.nodes.node} ${shortId(node)}`
}

function AddMember(props: { readonly path: string; readonly close: () => void; readonly changed: () => void }) {
  const words = SETTINGS.members
  const submit = async (data: FormData): Promise<undefined> => {
    await send('POST', props.path, { node: textIn(data, 'node'), operator: textIn(data, 'operator') || null })
    props.changed()
  }
  return (
    <FormDialog title={words.addTitle} act={words.add} close={props.close} submit={submit}>
      <Field name="node" label={words.node} hint={words.nodeHint}>
        {(named) => <input {...named} required autocomplete="off" spellcheck={false} />}
      </Field>
      <Field name="operator" label={words.operator} hint={words.operatorHint}>
        {(named) => <input {...named} autocomplete="off" spellcheck={false} />}
      </Field>
    </FormDialog>
  )
}
