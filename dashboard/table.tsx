import type { ComponentChildren, VNode } from 'preact'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Empty } from './parts.tsx'
import { WORDS } from './words.ts'

export type Column<T> = {
  readonly name: string
  readonly cell: (row: T) => ComponentChildren
  /** What rows are sorted by; a column without it cannot be sorted by. */
  readonly by?: (row: T) => string | number | bigint
  readonly isNumber?: boolean
  /** A share of the width, 1 by default. */
  readonly wide?: number
}
type Sorting = { readonly column: number; readonly descending: boolean }

/** Rows are this high, so that where each of them is need not be measured. As in the style. */
const ROW_PIXELS = 38
/** Beyond what is seen, so that scrolling shows no gap before the next drawing. */
const AHEAD = 20

/**
 * A table that draws what is seen of it, however many rows there are. It is one table to a screen reader: how many rows it has,
 * and which each is, is said. Arrow keys, Page Up and Page Down scroll it.
 */
export function Table<T>(props: {
  readonly label: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string | number
  readonly empty: string
  readonly hint?: string
  /** The column that rows are sorted by at first. */
  readonly sorted?: Sorting
  readonly tall?: boolean
}) {
  const { columns, rows } = props
  const [sorting, setSorting] = useState(props.sorted)
  const box = useRef<HTMLDivElement>(null)
  const [seen, setSeen] = useState({ first: 0, count: 40 })
  const ordered = useMemo(() => sort(rows, columns, sorting), [rows, sorting])

  const look = () => {
    const at = box.current
    if (!at) return
    const first = Math.max(0, Math.floor(at.scrollTop / ROW_PIXELS) - AHEAD)
    const count = Math.ceil(at.clientHeight / ROW_PIXELS) + 2 * AHEAD
    // Only when what was drawn ahead is about to run out.
    setSeen((last) =>
      Math.abs(last.first - first) < AHEAD / 2 && last.count === count && first > 0 ? last : { first, count },
    )
  }
  useLayoutEffect(() => {
    const at = box.current
    if (!at) return
    const sizes = new ResizeObserver(look)
    sizes.observe(at)
    return () => sizes.disconnect()
  }, [])

  // A row that was drawn and is the same still is given as it was: most of what is scrolled over is, and is not looked at.
  const kept = useRef<{ readonly columns: unknown; readonly rows: Map<T, Drawn> }>(undefined)
  const before = kept.current?.columns === columns ? kept.current.rows : undefined
  const now = new Map<T, Drawn>()
  kept.current = { columns, rows: now }
  const drawn = (row: T, index: number): VNode => {
    const last = before?.get(row)
    const vnode = last?.index === index ? last.vnode : rowOf(props, row, index)
    now.set(row, { index, vnode })
    return vnode
  }

  if (rows.length === 0) return <Empty text={props.empty} hint={props.hint} />
  const first = Math.min(seen.first, Math.max(0, ordered.length - 1))
  const shown = ordered.slice(first, first + seen.count)
  const below = Math.max(0, ordered.length - first - shown.length)
  const tracks = columns.map(({ wide = 1 }) => `minmax(0, ${wide}fr)`).join(' ')
  const widths = columns.reduce((sum, { wide = 1 }) => sum + wide, 0)
  return (
    <section
      ref={box}
      class={props.tall ? 'scroll tall' : 'scroll'}
      aria-label={props.label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
      tabIndex={0}
      onScroll={look}
    >
      <div style={{ height: `${first * ROW_PIXELS}px` }} />
      <table
        style={{ minWidth: `${widths * 5.4}rem`, '--columns': tracks }}
        aria-label={props.label}
        aria-rowcount={ordered.length + 1}
      >
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column, index) => (
              <Head key={column.name} {...{ column, index, sorting, setSorting }} />
            ))}
          </tr>
        </thead>
        <tbody>{shown.map((row, index) => drawn(row, first + index))}</tbody>
      </table>
      <div style={{ height: `${below * ROW_PIXELS}px` }} />
    </section>
  )
}

type Drawn = { readonly index: number; readonly vnode: VNode }

function rowOf<T>(
  { columns, keyOf }: { readonly columns: readonly Column<T>[]; readonly keyOf: (row: T) => string | number },
  row: T,
  index: number,
): VNode {
  return (
    <tr key={keyOf(row)} aria-rowindex={index + 2}>
      {columns.map(({ name, cell, isNumber }) => (
        <td key={name} class={isNumber ? 'number' : undefined}>
          {cell(row)}
        </td>
      ))}
    </tr>
  )
}

function Head<T>(props: {
  readonly column: Column<T>
  readonly index: number
  readonly sorting: Sorting | undefined
  readonly setSorting: (sorting: Sorting) => void
}) {
  const { column, index, sorting } = props
  const kind = column.isNumber ? 'number' : undefined
  if (!column.by)
    return (
      <th scope="col" class={kind}>
        {column.name}
      </th>
    )
  const isSorted = sorting?.column === index
  const direction = isSorted && sorting.descending ? 'descending' : 'ascending'
  const turn = () => props.setSorting({ column: index, descending: isSorted && !sorting.descending })
  return (
    <th scope="col" class={kind} aria-sort={isSorted ? direction : 'none'}>
      <button type="button" class="sort" onClick={turn}>
        {column.name} <span aria-hidden="true">{isSorted ? (sorting.descending ? '↓' : '↑') : '↕'}</span>
      </button>
    </th>
  )
}

function sort<T>(rows: readonly T[], columns: readonly Column<T>[], sorting: Sorting | undefined): readonly T[] {
  const by = sorting && columns[sorting.column]?.by
  if (!by) return rows
  const keyed = rows.map((row) => ({ row, key: by(row) }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const ascending = keyed.map(({ row }) => row)
  return sorting.descending ? ascending.reverse() : ascending
}

export function Filter(props: {
  readonly label: string
  readonly value: string
  readonly set: (value: string) => void
  readonly shown: number
  readonly all: number
}) {
  return (
    <label class="filter">
      <span class="unseen">{props.label}</span>
      <input
        type="search"
        placeholder={props.label}
        value={props.value}
        onInput={(event) => props.set(event.currentTarget.value)}
      />
      <span class="note" role="status">
        {WORDS.table.rows(props.shown, props.all)}
      </span>
    </label>
  )
}
