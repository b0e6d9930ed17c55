import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { ApiKeyView, FederationView, MemberView, WebhookEndpointView } from '#sdk/views.ts'
import { get, type Page, send } from './api.ts'
import { formatDay } from './format.ts'
import { useLoad } from './load.ts'
import { Card, Chip, Confirm, Empty, Id, Show } from './parts.tsx'
import { WORDS } from './words.ts'

type Delivery = { readonly id: string; readonly type: string; readonly outcome: string; readonly at: string }

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
  const [loaded, again] = useList<ApiKeyView>('/v1/api-keys')
  const [revoking, setRevoking] = useState<ApiKeyView>()
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
  const [loaded, again] = useList<WebhookEndpointView>('/v1/webhook-endpoints')
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
            rows={data.map(({ id, type, outcome, at }) => [id, type, outcome, formatDay(at)])}
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
  const [loaded, again] = useList<MemberView>(`/v1/federations/${federation}/members`)
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
