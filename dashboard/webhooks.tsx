import { useEffect, useState } from 'preact/hooks'
import type { z } from 'zod'
import type { deliveryView, endpointWithSecretView } from '#coordinator/api/webhook-schemas.ts'
import type { WebhookEndpointView } from '#sdk/views/webhooks.ts'
import { create, send } from './api.ts'
import { Choice, Choices, Confirm, Field, FormDialog, type Shown, ToCopy, textIn } from './form.tsx'
import { formatDay, formatMillis } from './format.ts'
import { problemOf, useList } from './load.ts'
import { Card, Chip, Empty, Entry, Needs, Show } from './parts.tsx'
import { may } from './session.ts'
import { SETTINGS } from './settings-words.ts'
import { type Column, Table } from './table.tsx'

type Delivery = z.output<typeof deliveryView>
type Asked =
  | { readonly what: 'add' }
  | { readonly what: 'edit' | 'rotate' | 'remove'; readonly endpoint: WebhookEndpointView }

const PATH = '/v1/webhook-endpoints'
/** What is sent is seen as it goes, by whoever looks at the list. */
const EVERY_MILLIS = 3000

export function Webhooks() {
  const [asked, setAsked] = useState<Asked>()
  const [changes, setChanges] = useState(0)
  const words = SETTINGS.webhooks
  const dialog = { close: () => setAsked(undefined), changed: () => setChanges((last) => last + 1) }
  const side = may('webhooks:admin') && (
    <button type="button" class="primary" onClick={() => setAsked({ what: 'add' })}>
      {words.add}
    </button>
  )
  return (
    <Card title={words.title} side={side}>
      <Needs scope="webhooks:admin">
        <List changes={changes} ask={setAsked} changed={dialog.changed} />
      </Needs>
      {asked?.what === 'add' && <AddEndpoint {...dialog} />}
      {asked?.what === 'edit' && <EditEndpoint {...dialog} endpoint={asked.endpoint} />}
      {asked?.what === 'rotate' && <RotateSecret {...dialog} endpoint={asked.endpoint} />}
      {asked?.what === 'remove' && (
        <Confirm
          title={words.removeTitle}
          lead={words.removeLead(asked.endpoint.url)}
          act={words.remove}
          close={dialog.close}
          confirmed={async () => {
            await send('DELETE', `${PATH}/${asked.endpoint.id}`)
            dialog.changed()
          }}
        />
      )}
    </Card>
  )
}

type Dialog = { readonly close: () => void; readonly changed: () => void }

function List(props: { readonly changes: number; readonly ask: (asked: Asked) => void; readonly changed: () => void }) {
  const [loaded, again] = useList<WebhookEndpointView>(PATH, props.changes)
  const words = SETTINGS.webhooks
  return (
    <Show loaded={loaded} again={again}>
      {(endpoints) =>
        endpoints.length === 0 ? (
          <Empty text={words.none} hint={words.hint} />
        ) : (
          <ul class="entries">
            {endpoints.map((endpoint) => (
              <Endpoint key={endpoint.id} endpoint={endpoint} {...props} />
            ))}
          </ul>
        )
      }
    </Show>
  )
}

function Endpoint(props: {
  readonly endpoint: WebhookEndpointView
  readonly ask: (asked: Asked) => void
  readonly changed: () => void
}) {
  const { endpoint, ask } = props
  const { id, url, enabled, events, description, old_secret_until, gave_up } = endpoint
  const overlap = old_secret_until !== null && Date.parse(old_secret_until) > Date.now() && old_secret_until
  const [said, setSaid] = useState('')
  const [sent, setSent] = useState(0)
  const [isOpen, setOpen] = useState(false)
  const words = SETTINGS.webhooks
  const act = async (work: () => Promise<string>): Promise<void> => {
    setSaid(await work().catch((cause) => problemOf(cause).message))
    setSent((last) => last + 1)
  }
  const test = async () => saidOf((await send<Delivery>('POST', `${PATH}/${id}/test`)) as Delivery)
  const turn = async () => {
    await send('PATCH', `${PATH}/${id}`, { enabled: !enabled })
    props.changed()
    return ''
  }
  const button = (text: string, does: () => void, kind = '') => (
    <button type="button" class={kind} aria-label={`${text}: ${url}`} onClick={does}>
      {text}
    </button>
  )
  return (
    <Entry
      title={
        <>
          <code>{url}</code> <Chip state={enabled ? 'live' : 'stopped'} text={enabled ? words.isOn : words.isOff} />
        </>
      }
      facts={[
        events.join(', '),
        description,
        SETTINGS.made(formatDay(endpoint.created_at)),
        overlap && words.oldUntil(formatDay(overlap)),
      ]}
      actions={
        <>
          {button(words.test, () => void act(test))}
          {button(words.edit, () => ask({ what: 'edit', endpoint }))}
          {button(words.rotate, () => ask({ what: 'rotate', endpoint }))}
          {button(enabled ? words.off : words.on, () => void act(turn))}
          {button(words.remove, () => ask({ what: 'remove', endpoint }), 'danger')}
        </>
      }
    >
      {gave_up && <p class="banner warn">{words.gaveUp(formatDay(gave_up.at), gave_up.reason)}</p>}
      <p role="status" class="said">
        {said}
      </p>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{words.deliveries}</summary>
        {isOpen && <Deliveries endpoint={id} sent={sent} again={(path) => void act(() => redeliver(path))} />}
      </details>
    </Entry>
  )
}

async function redeliver(path: string): Promise<string> {
  return saidOf((await send<Delivery>('POST', path)) as Delivery)
}

function saidOf({ outcome, status, reason, elapsed_ms }: Delivery): string {
  const words = SETTINGS.webhooks
  return words.sent(words.outcomes[outcome], `${words.answered(status, reason)}, ${formatMillis(elapsed_ms)}`)
}

function Deliveries(props: {
  readonly endpoint: string
  readonly sent: number
  readonly again: (path: string) => void
}) {
  const path = `${PATH}/${props.endpoint}/deliveries`
  const [loaded, again] = useList<Delivery>(path, props.sent)
  useEffect(() => {
    const timer = setInterval(again, EVERY_MILLIS)
    return () => clearInterval(timer)
  }, [])
  const words = SETTINGS.webhooks
  const columns: readonly Column<Delivery>[] = [
    { name: words.at, cell: ({ at }) => formatDay(at), by: ({ at }) => at, wide: 1.4 },
    { name: words.event, cell: ({ type }) => <code>{type}</code>, by: ({ type }) => type, wide: 1.5 },
    {
      name: words.run,
      cell: ({ run, seq }) => (run ? <a href={`/runs/${run}/logs`}>{`${run.slice(-6)} ${seq}`}</a> : '—'),
    },
    { name: words.attempt, cell: ({ attempt }) => attempt, by: ({ attempt }) => attempt, isNumber: true, wide: 0.6 },
    {
      name: words.answer,
      wide: 2.4,
      cell: ({ outcome, status, reason }) => (
        <>
          <Chip state={outcome} text={words.outcomes[outcome]} />{' '}
          <span class="note">{words.answered(status, reason)}</span>
        </>
      ),
      by: ({ outcome }) => outcome,
    },
    {
      name: words.took,
      cell: ({ elapsed_ms }) => formatMillis(elapsed_ms),
      by: (one) => one.elapsed_ms,
      isNumber: true,
    },
    {
      name: words.redeliver,
      wide: 1.3,
      // One about nothing is sent by a test.
      cell: ({ id, run }) =>
        run && (
          <button type="button" class="plain" onClick={() => props.again(`${path}/${id}/redeliver`)}>
            {words.redeliver}
          </button>
        ),
    },
  ]
  return (
    <Show loaded={loaded} again={again}>
      {(deliveries) => (
        <Table
          label={words.deliveries}
          columns={columns}
          rows={deliveries}
          keyOf={({ id, at, attempt }) => `${id} ${at} ${attempt}`}
          empty={words.noDeliveries}
        />
      )}
    </Show>
  )
}

function AddEndpoint({ close, changed }: Dialog) {
  const words = SETTINGS.webhooks
  const submit = async (data: FormData, once: string): Promise<Shown> => {
    const { secret } = await create<z.output<typeof endpointWithSecretView>>(PATH, bodyOf(data), once)
    changed()
    return { title: words.added, content: <Secret text={secret} /> }
  }
  return (
    <FormDialog title={words.add} act={words.add} close={close} submit={submit}>
      <Fields url="" events={['run.*', 'round.completed']} description="" />
    </FormDialog>
  )
}

function Secret({ text }: { readonly text: string }) {
  const words = SETTINGS.webhooks
  return (
    <>
      <p class="banner warn">{SETTINGS.onceLead}</p>
      <ToCopy name={words.secret} text={text} />
      <p class="note">{words.secretHint}</p>
    </>
  )
}

function RotateSecret({ endpoint, close, changed }: Dialog & { readonly endpoint: WebhookEndpointView }) {
  const words = SETTINGS.webhooks
  const submit = async (data: FormData, once: string): Promise<Shown> => {
    const path = `${PATH}/${endpoint.id}/rotate-secret`
    const body = { overlapSeconds: Number(textIn(data, 'overlapSeconds')) }
    const { secret } = await create<z.output<typeof endpointWithSecretView>>(path, body, once)
    changed()
    return { title: words.rotated, content: <Secret text={secret} /> }
  }
  return (
    <FormDialog title={words.rotateTitle} lead={words.rotateLead} act={words.rotate} close={close} submit={submit}>
      <Field name="overlapSeconds" label={words.overlap} hint={words.overlapHint}>
        {(named) => (
          <select {...named}>
            {OVERLAPS_SECONDS.map((seconds) => (
              <option key={seconds} value={seconds} selected={seconds === 86_400}>
                {words.overlaps[seconds]}
              </option>
            ))}
          </select>
        )}
      </Field>
    </FormDialog>
  )
}

const OVERLAPS_SECONDS = [0, 3600, 86_400, 604_800] as const

function EditEndpoint({ endpoint, close, changed }: Dialog & { readonly endpoint: WebhookEndpointView }) {
  const words = SETTINGS.webhooks
  const submit = async (data: FormData): Promise<undefined> => {
    await send('PATCH', `${PATH}/${endpoint.id}`, bodyOf(data))
    changed()
  }
  return (
    <FormDialog title={words.editTitle} act={words.save} close={close} submit={submit}>
      <Fields {...endpoint} />
    </FormDialog>
  )
}

function bodyOf(data: FormData): object {
  return { url: textIn(data, 'url'), events: data.getAll('events'), description: textIn(data, 'description') }
}

function Fields({ url, events, description }: Pick<WebhookEndpointView, 'url' | 'events' | 'description'>) {
  const words = SETTINGS.webhooks
  const patterns = new Set([...Object.keys(SETTINGS.patterns), ...events])
  return (
    <>
      <Field name="url" label={words.url} hint={words.urlHint}>
        {(named) => (
          <input {...named} inputMode="url" required autocomplete="off" placeholder="https://" defaultValue={url} />
        )}
      </Field>
      <Choices name="events" label={words.events}>
        {[...patterns].map((pattern) => (
          <Choice
            key={pattern}
            name="events"
            value={pattern}
            note={SETTINGS.patterns[pattern] ?? SETTINGS.otherPattern}
            isChosen={events.includes(pattern)}
          />
        ))}
      </Choices>
      <Field name="description" label={words.description}>
        {(named) => <input {...named} autocomplete="off" defaultValue={description} />}
      </Field>
    </>
  )
}
