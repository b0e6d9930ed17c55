import { useEffect, useRef, useState } from 'preact/hooks'
import type { ReceiptView } from '#sdk/views/payments.ts'
import { pages } from './api.ts'
import { saveTable } from './csv.ts'
import { formatCount, formatCredits } from './format.ts'
import { problemOf, useLoad } from './load.ts'
import { Card, Id, Show } from './parts.tsx'
import { type Column, Table } from './table.tsx'
import { WORDS } from './words.ts'

const PATH = '/v1/payouts'
/** Shown at first; each time that more are asked for it is twice as many. */
const SHOWN = 200

type Newest = { readonly rows: readonly ReceiptView[]; readonly hasOlder: boolean }

/** Payments, the newest first: of a coordinator that has paid for years as many as are asked for, and all of them as CSV. */
export function Payouts() {
  const words = WORDS.money
  const [wanted, setWanted] = useState(SHOWN)
  const [loaded, again] = useLoad((signal) => newest(wanted, signal), 'payouts', wanted)
  const isEmpty = loaded.state !== 'ready' || loaded.value.rows.length === 0
  return (
    <Card title={words.payouts} side={<AllAsCsv disabled={isEmpty} />}>
      <Show loaded={loaded} again={again}>
        {({ rows, hasOlder }) => (
          <>
            <Table
              label={words.payouts}
              columns={COLUMNS}
              rows={rows}
              keyOf={({ run, round, node }) => `${run} ${round} ${node}`}
              empty={words.none}
              hint={words.noneHint}
            />
            {hasOlder && (
              <p class="note">
                {words.newest(formatCount(rows.length))}{' '}
                <button type="button" class="plain" onClick={() => setWanted(2 * rows.length)}>
                  {words.older}
                </button>
              </p>
            )}
          </>
        )}
      </Show>
    </Card>
  )
}

/** A page may be empty and still have a next one: whether there are older ones is known once the next of them is here. */
async function newest(wanted: number, signal: AbortSignal): Promise<Newest> {
  const rows: ReceiptView[] = []
  for await (const page of pages<ReceiptView>(PATH, signal)) {
    rows.push(...page)
    if (rows.length > wanted) break
  }
  return { rows: rows.slice(0, wanted), hasOlder: rows.length > wanted }
}

/** Asked for when it is wanted, and only then. */
function AllAsCsv({ disabled }: { readonly disabled: boolean }) {
  const words = WORDS.money
  const [fetched, setFetched] = useState<number>()
  const [problem, setProblem] = useState('')
  const left = useRef(new AbortController())
  useEffect(() => () => left.current.abort(), [])
  const save = async () => {
    const { signal } = left.current
    setProblem('')
    setFetched(0)
    try {
      const rows: ReceiptView[] = []
      for await (const page of pages<ReceiptView>(PATH, signal)) {
        rows.push(...page)
        setFetched(rows.length)
      }
      saveTable('payouts', rows)
    } catch (cause) {
      if (signal.aborted) return
      setProblem(problemOf(cause).message)
    }
    setFetched(undefined)
  }
  const isBusy = fetched !== undefined
  return (
    <>
      <span class="note" role="status">
        {isBusy ? words.fetching(formatCount(fetched)) : problem && words.unsaved(problem)}
      </span>
      <button type="button" disabled={disabled || isBusy} onClick={() => void save()}>
        {WORDS.csv}
      </button>
    </>
  )
}

const COLUMNS: readonly Column<ReceiptView>[] = [
  {
    name: WORDS.money.run,
    cell: ({ run }) => <a href={`/runs/${run}`}>{run.slice(-6)}</a>,
    by: ({ run }) => run,
    wide: 0.8,
  },
  { name: WORDS.money.round, cell: ({ round }) => round, by: ({ round }) => round, isNumber: true, wide: 0.7 },
  {
    name: WORDS.money.node,
    cell: ({ node }) => <Id id={node} name={WORDS.money.node} />,
    by: ({ node }) => node,
    wide: 1.5,
  },
  {
    name: WORDS.money.amount,
    cell: ({ amount }) => formatCredits(amount),
    by: ({ amount }) => BigInt(amount),
    isNumber: true,
  },
  { name: WORDS.money.receipt, cell: ({ receipt }) => <Id id={receipt} name={WORDS.money.receipt} />, wide: 1.5 },
]
