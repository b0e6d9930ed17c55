import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { get, type Page, send } from './api.ts'
import { formatDay } from './format.ts'
import { useLoad } from './load.ts'
import { Card, Chip, Confirm, Empty, Id, Show } from './parts.tsx'
import { WORDS } from './words.ts'

type ApiKey = {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly created_at: string
  readonly revoked_at: string | null
  readonly last_used_at: string | null
}
type Endpoint = {
  readonly id: string
  readonly url: string
  readonly events: readonly string[]
  readonly description: string | null
}
type Delivery = { readonly id: string; readonly event?: string; readonly status: string; readonly created_at: string }
type FederationView = {
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly members: number
}
type Member = {
  readonly node: string
  readonly operator: string | null
  readonly linked: boolean
  readonly joined_at: string
}

export function SettingsPage() {
  const words = WORDS.settings
  return (
    <>
      <h1>{words.title}</h1>
      <Keys />
      <Webhooks />
      <Federations />
      <Card title={words.api}>
        <p>{words.apiLead}</p>
        <p>
          <a href="/openapi.json" target="_blank" rel="noreferrer">
            {words.openapi}
          </a>
        </p>
      </Card>
    </>
  )
}

function useList<T>(path: string) {
  return useLoad((signal) => get<Page<T>>(`${path}?limit=200`, signal), path)
}

function Keys() {
  const [loaded, again] = useList<ApiKey>('/v1/api-keys')
  const [revoking, setRevoking] = useState<ApiKey>()
  const words = WORDS.settings
  return (
    <Card title={words.keys}>
      <Show loaded={loaded} again={again}>
        {({ data }) => (
          <Rows
            head={[words.keyName, words.scopes, words.created, words.lastUsed, '']}
            rows={data.map((key) => [
              key.name,
              <span class="note">{key.scopes.join(', ')}</span>,
              formatDay(key.created_at),
              key.last_used_at ? formatDay(key.last_used_at) : words.never,
              key.revoked_at ? (
                <Chip state="ended" text={words.revoked} />
              ) : (
                <button type="button" class="danger" onClick={() => setRevoking(key)}>
                  {words.revoke}
                </button>
              ),
            ])}
          />
        )}
      </Show>
      {revoking && (
        <Confirm
          title={words.revokeTitle}
          lead={words.revokeLead(revoking.name)}
          act={words.revoke}
          asksReason={false}
          close={() => setRevoking(undefined)}
          confirmed={async () => {
            await send('DELETE', `/v1/api-keys/${revoking.id}`)
            again()
          }}
        />
      )}
    </Card>
  )
}

function Webhooks() {
  const [loaded, again] = useList<Endpoint>('/v1/webhook-endpoints')
  const words = WORDS.settings
  return (
    <Card title={words.webhooks}>
      <Show loaded={loaded} again={again}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty text={words.none} />
          ) : (
            data.map((endpoint) => (
              <details key={endpoint.id}>
                <summary>
                  <code>{endpoint.url}</code> <span class="note">{endpoint.events.join(', ')}</span>
                </summary>
                <Deliveries endpoint={endpoint.id} />
              </details>
            ))
          )
        }
      </Show>
    </Card>
  )
}

function Deliveries({ endpoint }: { readonly endpoint: string }) {
  const [loaded, again] = useList<Delivery>(`/v1/webhook-endpoints/${endpoint}/deliveries`)
  return (
    <Show loaded={loaded} again={again}>
      {({ data }) =>
        data.length === 0 ? (
          <Empty text={WORDS.settings.noDeliveries} />
        ) : (
          <Rows
            head={[WORDS.settings.deliveries, WORDS.logs.type, WORDS.nodes.state, WORDS.logs.time]}
            rows={data.map(({ id, event, status, created_at }) => [id, event ?? '', status, formatDay(created_at)])}
          />
        )
      }
    </Show>
  )
}

function Federations() {
  const [loaded, again] = useList<FederationView>('/v1/federations')
  const words = WORDS.settings
  return (
    <Card title={words.federations}>
      <Show loaded={loaded} again={again}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty text={words.none} />
          ) : (
            data.map(({ id, name, description, members }) => (
              <details key={id}>
                <summary>
                  {name} <span class="note">{`${members} · ${description ?? ''}`}</span>
                </summary>
                <Members federation={id} />
              </details>
            ))
          )
        }
      </Show>
    </Card>
  )
}

function Members({ federation }: { readonly federation: string }) {
  const [loaded, again] = useList<Member>(`/v1/federations/${federation}/members`)
  const words = WORDS.settings
  return (
    <Show loaded={loaded} again={again}>
      {({ data }) => (
        <Rows
          head={[WORDS.nodes.node, WORDS.nodes.operator, WORDS.nodes.state, words.since]}
          rows={data.map(({ node, operator, linked, joined_at }) => [
            <Id id={node} name={WORDS.nodes.node} />,
            operator ?? '—',
            <Chip state={linked ? 'linked' : 'away'} />,
            formatDay(joined_at),
          ])}
        />
      )}
    </Show>
  )
}

function Rows({
  head,
  rows,
}: {
  readonly head: readonly string[]
  readonly rows: readonly (readonly ComponentChildren[])[]
}) {
  if (rows.length === 0) return <Empty text={WORDS.settings.none} />
  return (
    <table class="plain-table">
      <thead>
        <tr>
          {head.map((name) =>
            name ? (
              <th key={name} scope="col">
                {name}
              </th>
            ) : (
              <td key={name} />
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <tr key={index}>
            {row.map((cell, column) => (
              <td key={column}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
