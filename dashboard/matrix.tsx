import { useMemo, useState } from 'preact/hooks'
import type { RunView } from '#sdk/views/runs.ts'
import { pages } from './api.ts'
import { csvOf, download } from './csv.ts'
import type { Follower } from './follow.ts'
import { formatFigure } from './format.ts'
import { useLoad } from './load.ts'
import {
  type Cell,
  type Line,
  type MatrixRow,
  type MatrixTable,
  type Measure,
  matrixCsv,
  matrixTable,
  shareOf,
} from './matrix-table.ts'
import { Card, Empty, Show, Sideways } from './parts.tsx'
import { WORDS } from './words.ts'

/** Models at first, and more of them at a time: each row is read off the blocks of its round. */
const ROWS = 20
const MORE_ROWS = 100
const PAGE = 50

/** How the model of each round did at each site. */
export function Matrix({ run, follower: { history, pulse } }: { readonly run: RunView; readonly follower: Follower }) {
  void pulse.beats.value
  const [asked, setMeasure] = useState<Measure>('accuracy')
  const [wanted, setWanted] = useState(ROWS)
  // Also the round that tests the last model, which trains none.
  const closed = history.rounds.filter(({ outcome }) => outcome === 'closed').length
  const words = WORDS.matrix
  const load = async (signal: AbortSignal): Promise<Known> => {
    const last = history.rounds.at(-1)?.round ?? run.over
    const after = Math.max(0, last - wanted)
    const rows = await Array.fromAsync(pages<MatrixRow>(`/v1/runs/${run.id}/matrix?after=${after}`, signal, PAGE))
    return { rows: rows.flat(), hasEarlier: after > 0 }
  }
  const [loaded, again] = useLoad(load, `${run.id} ${wanted}`, closed)
  const rows = loaded.state === 'ready' ? loaded.value.rows : []
  // Models of numbers are right about no row.
  const isOfNumbers =
    rows.some(({ all }) => all !== null) && rows.every(({ all }) => all === null || all.accuracy === null)
  const measure = isOfNumbers ? 'loss' : asked
  const save = () => download(`${run.id}-matrix.csv`, csvOf(matrixCsv(rows)), 'text/csv')
  const side = (
    <div class="controls">
      <label>
        {words.measure}
        <select value={measure} onChange={(event) => setMeasure(event.currentTarget.value as Measure)}>
          {!isOfNumbers && <option value="accuracy">{words.measures.accuracy}</option>}
          <option value="loss">{words.measures.loss}</option>
        </select>
      </label>
      <button type="button" onClick={save} disabled={rows.length === 0}>
        {WORDS.csv}
      </button>
    </div>
  )
  return (
    <Card title={words.title} side={side}>
      <p class="note">{words.lead}</p>
      <Show loaded={loaded} again={again}>
        {(known) =>
          known.rows.length === 0 ? (
            <Empty
              text={run.purpose === 'ask' ? words.asked : words.none}
              hint={run.purpose === 'ask' ? undefined : words.noneHint}
            />
          ) : (
            <Found
              {...known}
              measure={measure}
              operators={operatorsIn(history)}
              more={() => setWanted(wanted + MORE_ROWS)}
            />
          )
        }
      </Show>
    </Card>
  )
}

type Known = { readonly rows: readonly MatrixRow[]; readonly hasEarlier: boolean }

function Found(
  props: Known & {
    readonly measure: Measure
    readonly operators: ReadonlyMap<string, string>
    readonly more: () => void
  },
) {
  const { rows, measure, operators } = props
  const table = useMemo(() => matrixTable(rows, measure), [rows, measure])
  const words = WORDS.matrix
  return (
    <>
      {rows.some(({ why }) => why === 'masked') && <p class="banner">{words.maskedLead}</p>}
      {rows.some(({ why }) => why === 'expired') && <p class="banner">{words.expiredLead}</p>}
      {props.hasEarlier && (
        <p>
          <button type="button" class="plain" onClick={props.more}>
            {words.earlier}
          </button>
        </p>
      )}
      <Sideways class="matrix" label={words.title}>
        <table aria-label={words.chart(words.measures[measure])}>
          <thead>
            <tr>
              <th scope="col">{words.round}</th>
              <th scope="col">{words.all}</th>
              {table.sites.map((node) => (
                <th key={node} scope="col" title={node}>
                  {operators.get(node) ?? `…${node.slice(-6)}`}
                </th>
              ))}
              {table.sites.length > 1 && (
                <th scope="col" title={words.spreadHint}>
                  {words.spread}
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {table.lines.map((line) => (
              <Model key={line.row.tested_in} line={line} table={table} />
            ))}
          </tbody>
        </table>
      </Sideways>
      <Scale {...table} />
    </>
  )
}

function Model({ line, table }: { readonly line: Line; readonly table: MatrixTable }) {
  const { row, all, bySite, spread, best } = line
  const figures = [all, ...bySite]
  return (
    <tr>
      <th scope="row" title={row.model}>
        {row.round === 0 ? WORDS.matrix.genesis : row.round}
      </th>
      {figures.map((cell, column) => (
        <Figure key={table.sites[column - 1] ?? ''} cell={cell} isBest={best.has(column)} table={table} />
      ))}
      {table.sites.length > 1 && <td class="number">{formatFigure(spread)}</td>}
    </tr>
  )
}

function Figure({
  cell,
  isBest,
  table,
}: {
  readonly cell: Cell
  readonly isBest: boolean
  readonly table: MatrixTable
}) {
  const words = WORDS.matrix
  switch (cell) {
    case 'noReport':
      return <Absent text={words.noReport} hint={words.noReportHint} />
    case 'noFigures':
      return <Absent text={words.noFigures} hint={words.noFiguresHint} />
    case 'nobody':
      return <Absent text={words.nobody} />
    case 'masked':
      return <Absent text={words.masked} hint={words.maskedLead} />
    case 'expired':
      return <Absent text={words.expired} hint={words.expiredLead} />
    default: {
      const text = formatFigure(cell)
      return (
        <td class="shade" style={{ '--share': `${Math.round(100 * shareOf(cell, table))}%` }}>
          {isBest ? <b>{text}</b> : text}
        </td>
      )
    }
  }
}

function Absent({ text, hint }: { readonly text: string; readonly hint?: string }) {
  return (
    <td class="note" title={hint}>
      {text}
    </td>
  )
}

function Scale({ least, most }: MatrixTable) {
  const words = WORDS.matrix
  if (!(most > least)) return null
  return (
    <p class="scale note">
      {words.low(formatFigure(least))} <span class="ramp" aria-hidden="true" /> {words.high(formatFigure(most))}
      <span>{words.scaleHint}</span>
    </p>
  )
}

/** What people call a site, as far as the run's events have told. */
function operatorsIn({ rounds }: Follower['history']): ReadonlyMap<string, string> {
  const known = rounds.flatMap(({ sites }) => [...sites.values()])
  return new Map(known.flatMap(({ node, operator }) => (operator ? [[node, operator] as const] : [])))
}
