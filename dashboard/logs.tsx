import { useState } from 'preact/hooks'
import type { ApiEvent } from '#sdk/sse.ts'
import type { Follower } from './follow.ts'
import { formatClock, shortId } from './format.ts'
import { Card } from './parts.tsx'
import { type Column, Table } from './table.tsx'
import { WORDS } from './words.ts'

const SAID_ELSEWHERE = new Set(['type', 'run', 'seq', 'time', 'node'])

/** What happened, event by event, the newest first. */
export function Logs({ follower }: { readonly follower: Follower }) {
  const { history, pulse } = follower
  void pulse.beats.value
  const [type, setType] = useState('')
  const [site, setSite] = useState('')
  const words = WORDS.logs
  const { log } = history
  const types = [...new Set(log.map((event) => event.type))].sort()
  const sites = [...new Set(log.flatMap(({ node }) => (typeof node === 'string' ? [node] : [])))].sort()
  const shown = log.filter((event) => (type === '' || event.type === type) && (site === '' || event['node'] === site))
  const columns: readonly Column<ApiEvent>[] = [
    { name: words.seq, cell: ({ seq }) => seq, by: ({ seq }) => seq, isNumber: true, wide: 0.5 },
    { name: words.time, cell: ({ time }) => formatClock(time), wide: 1.3 },
    { name: words.type, cell: (event) => <code>{event.type}</code>, by: (event) => event.type, wide: 1.75 },
    { name: words.site, cell: ({ node }) => (typeof node === 'string' ? <code>{shortId(node)}</code> : ''), wide: 1.5 },
    { name: words.detail, cell: detailOf, wide: 3.6 },
  ]
  const side = (
    <div class="controls">
      <Choice label={words.type} all={words.anyType} value={type} set={setType} options={types} />
      <Choice label={words.site} all={words.anySite} value={site} set={setSite} options={sites} />
    </div>
  )
  return (
    <Card title={WORDS.run.tabs.logs} side={side}>
      <Table
        label={words.label}
        columns={columns}
        rows={shown}
        keyOf={({ seq }) => seq}
        empty={log.length === 0 ? words.none : WORDS.table.none}
        sorted={{ column: 0, descending: true }}
      />
    </Card>
  )
}

function Choice(props: {
  readonly label: string
  readonly all: string
  readonly value: string
  readonly set: (value: string) => void
  readonly options: readonly string[]
}) {
  return (
    <label>
      {props.label}
      <select value={props.value} onChange={(event) => props.set(event.currentTarget.value)}>
        <option value="">{props.all}</option>
        {props.options.map((option) => (
          <option key={option} value={option}>
            {shortId(option)}
          </option>
        ))}
      </select>
    </label>
  )
}

function detailOf(event: ApiEvent) {
  const fields = Object.entries(event).filter(([name, value]) => !SAID_ELSEWHERE.has(name) && value !== null)
  const text = fields
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join('  ')
  return (
    <span class="clip note" title={text}>
      {text}
    </span>
  )
}
