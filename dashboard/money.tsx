import type { RunView } from '#sdk/views/runs.ts'
import { saveTable, type TableRow } from './csv.ts'
import { formatCount, formatCredits, shortId } from './format.ts'
import { useList } from './load.ts'
import { Card, Id, Show, Tile } from './parts.tsx'
import { Payouts } from './payouts.tsx'
import { type Column, Table } from './table.tsx'
import { WORDS } from './words.ts'

type Balance = {
  readonly node: string
  readonly operator: string | null
  readonly earned: string
  readonly updates: number
}
/** What was set aside, paid and released: whole numbers, never a float. */
export function MoneyPage() {
  const words = WORDS.money
  const [runs, runsAgain] = useList<RunView>('/v1/runs')
  const [balances, balancesAgain] = useList<Balance>('/v1/balances')
  return (
    <>
      <h1>{words.title}</h1>
      <p class="lead">{words.lead}</p>
      <Show loaded={runs} again={runsAgain}>
        {(found) => <Budgets runs={found} />}
      </Show>
      <div class="columns uneven">
        <Card
          title={words.balances}
          side={<Csv name="balances" rows={balances.state === 'ready' ? balances.value : []} />}
        >
          <Show loaded={balances} again={balancesAgain}>
            {(found) => (
              <Table
                label={words.balances}
                columns={BALANCES}
                rows={found}
                keyOf={({ node }) => node}
                empty={words.none}
                hint={words.noneHint}
              />
            )}
          </Show>
        </Card>
        <Payouts />
      </div>
    </>
  )
}

function Budgets({ runs }: { readonly runs: readonly RunView[] }) {
  const words = WORDS.money
  const sum = (of: (run: RunView) => string) => runs.reduce((total, run) => total + BigInt(of(run)), 0n)
  return (
    <>
      <dl class="tiles">
        <Tile name={words.budgetTotal} value={formatCredits(sum(({ budget }) => budget))} />
        <Tile name={words.paidTotal} value={formatCredits(sum(({ paid }) => paid))} />
        <Tile name={words.releasedTotal} value={formatCredits(sum(({ released }) => released))} />
        <Tile name={words.held} value={formatCredits(sum((run) => String(heldOf(run))))} />
      </dl>
      <Card
        title={words.runs}
        side={
          <Csv
            name="budgets"
            rows={runs.map(({ id, name, budget, paid, released }) => ({ id, name, budget, paid, released }))}
          />
        }
      >
        <Table
          label={words.runs}
          columns={RUNS}
          rows={runs}
          keyOf={({ id }) => id}
          empty={WORDS.overview.none}
          hint={WORDS.overview.noneHint}
        />
      </Card>
    </>
  )
}

/** Neither paid nor released yet. */
function heldOf({ budget, paid, released }: RunView): bigint {
  return BigInt(budget) - BigInt(paid) - BigInt(released)
}

function credits<T>(name: string, of: (row: T) => string | bigint): Column<T> {
  return { name, cell: (row) => formatCredits(of(row)), by: (row) => BigInt(of(row)), isNumber: true }
}

const RUNS: readonly Column<RunView>[] = [
  {
    name: WORDS.money.run,
    cell: ({ id, name }) => (
      <>
        <a href={`/runs/${id}`}>{name}</a> <code class="note">{shortId(id)}</code>
      </>
    ),
    by: ({ name }) => name,
    wide: 2,
  },
  credits(WORDS.money.budget, ({ budget }) => budget),
  credits(WORDS.money.paid, ({ paid }) => paid),
  credits(WORDS.money.released, ({ released }) => released),
  credits(WORDS.money.held, heldOf),
]
const BALANCES: readonly Column<Balance>[] = [
  {
    name: WORDS.money.node,
    cell: ({ node }) => <Id id={node} name={WORDS.money.node} />,
    by: ({ node }) => node,
    wide: 1.6,
  },
  { name: WORDS.money.operator, cell: ({ operator }) => operator ?? '—', by: ({ operator }) => operator ?? '' },
  {
    name: WORDS.money.updates,
    cell: ({ updates }) => formatCount(updates),
    by: ({ updates }) => updates,
    isNumber: true,
  },
  credits(WORDS.money.earned, ({ earned }) => earned),
]
function Csv({ name, rows }: { readonly name: string; readonly rows: readonly TableRow[] }) {
  return (
    <button type="button" disabled={rows.length === 0} onClick={() => saveTable(name, rows)}>
      {WORDS.csv}
    </button>
  )
}
