import { LABELS_MAX, LEVELS_MAX, WEIGHT_MAX } from '#protocol/limits.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { TableContract } from '#protocol/task.ts'
import type { Column, Table } from './csv.ts'

/** What a site says in public about its table, so that sites can agree on a contract: names and kinds, and no row. */
export type Profile = {
  /** The largest power of two that is no more than the rows. */
  readonly rowsAtLeast: number
  readonly columns: readonly ColumnProfile[]
}
export type ColumnProfile = {
  readonly name: string
  /** `category`: whole numbers, few of them; `text`: something that is no number, which no contract can use. */
  readonly kind: 'number' | 'category' | 'text'
  /** A category's values, ascending; none for the other kinds. */
  readonly levels: readonly number[]
  /** Empty cells, in whole percent, rounded up: 0 only where there is none, above 50 only where over half are. */
  readonly missingPercent: number
}

/** More different whole numbers than this are a number, not a category. */
const CATEGORY_LEVELS = 10

export function profileOf(table: Table): Profile {
  return {
    rowsAtLeast: powerOfTwoBelow(table.rows),
    columns: [...table.columns].map(([name, column]) => profileColumn(name, column, table.rows)),
  }
}

/** The largest that is no more; 0 for none. */
export function powerOfTwoBelow(rows: number): number {
  return rows === 0 ? 0 : 2 ** Math.floor(Math.log2(rows))
}

function profileColumn(name: string, { values, textLine }: Column, rows: number): ColumnProfile {
  const known = values.filter((value) => !Number.isNaN(value))
  const missingPercent = Math.ceil((100 * (rows - known.length)) / Math.max(rows, 1))
  if (textLine > 0) return { name, kind: 'text', levels: [], missingPercent }
  const levels = new Set<number>()
  for (const value of known) if (levels.size <= CATEGORY_LEVELS) levels.add(value)
  const isCategory = levels.size <= CATEGORY_LEVELS && [...levels].every(Number.isInteger)
  return isCategory
    ? { name, kind: 'category', levels: [...levels].sort((a, b) => a - b), missingPercent }
    : { name, kind: 'number', levels: [], missingPercent }
}

export type ContractRefusal = 'no-label' | 'bad-label' | 'no-columns'

/**
 * One contract for all sites, in the first site's order of columns. Left out: a column that some site lacks or has for
 * less than half of its rows, one of text, and one with a single level everywhere. A category at every site is the union
 * of its levels; a column that is a number anywhere is a number. A label of more than two values is "not 0", unless
 * `classes` says that the values are the classes. Several labels are each 1 or 0, or unknown: at a site perhaps of every row.
 */
export function contractOf(
  profiles: readonly Profile[],
  predicted: string | readonly string[],
  { classes, rowsMax = WEIGHT_MAX }: { readonly classes?: number; readonly rowsMax?: number } = {},
): Result<TableContract, ContractRefusal> {
  const sites = profiles.map(({ columns }) => new Map(columns.map((column) => [column.name, column])))
  const at = (name: string) => sites.flatMap((site) => site.get(name) ?? [])
  const label =
    typeof predicted === 'string'
      ? labelOf(predicted, at(predicted), sites.length, classes)
      : labelsOf(predicted, at, sites.length)
  if (!label.ok) return label
  const columns = [...(sites[0]?.keys() ?? [])]
    .filter((name) => !(typeof predicted === 'string' ? [predicted] : predicted).includes(name))
    .flatMap((name) => (at(name).length === sites.length ? unite(name, at(name)) : []))
  if (columns.length === 0) return refuse('no-columns', 'no column that every site has for half of its rows')
  return accept({ kind: 'table', columns, label: label.value, rowsMax })
}

function unite(name: string, columns: readonly ColumnProfile[]): TableContract['columns'] {
  if (columns.some(({ kind, missingPercent }) => kind === 'text' || missingPercent > 50)) return []
  const gaps = columns.some(({ missingPercent }) => missingPercent > 0)
  const levels = union(columns)
  const isCategory = columns.every(({ kind }) => kind === 'category') && levels.length <= LEVELS_MAX
  if (!isCategory) return [{ kind: 'number', name, gaps }]
  return levels.length < 2 ? [] : [{ kind: 'category', name, levels, gaps }]
}

function labelOf(
  column: string,
  found: readonly ColumnProfile[],
  sites: number,
  classes: number | undefined,
): Result<TableContract['label'], ContractRefusal> {
  const missing = missingAt(column, found, sites)
  if (missing) return missing
  if (found.some(({ kind }) => kind !== 'category'))
    return refuse(
      'bad-label',
      `${column} is no class: it holds more than ${CATEGORY_LEVELS} values, or others than whole numbers`,
    )
  const levels = union(found)
  const count = classes ?? 2
  if (classes === undefined && levels.length > 2) return accept({ column, rule: 'not-zero', classes: 2 })
  if (levels.every((level) => level >= 0 && level < count)) return accept({ column, rule: 'integer', classes: count })
  if (classes === undefined && levels.includes(0)) return accept({ column, rule: 'not-zero', classes: 2 })
  return refuse('bad-label', `${column} holds [${levels.join(', ')}], where classes are 0 to ${count - 1}`)
}

function missingAt(column: string, found: readonly ColumnProfile[], sites: number) {
  if (found.length === sites && sites > 0) return undefined
  return refuse('no-label', `${sites - found.length} of ${sites} sites have no column ${column}`)
}

function labelsOf(
  names: readonly string[],
  at: (name: string) => readonly ColumnProfile[],
  sites: number,
): Result<TableContract['label'], ContractRefusal> {
  if (names.length < 2 || names.length > LABELS_MAX || new Set(names).size < names.length)
    return refuse('bad-label', `several labels are 2 to ${LABELS_MAX} columns, each named once`)
  for (const column of names) {
    const found = at(column)
    const missing = missingAt(column, found, sites)
    if (missing) return missing
    if (found.some(({ kind }) => kind !== 'category') || union(found).some((level) => level !== 0 && level !== 1))
      return refuse('bad-label', `${column} holds others than 1, 0 and nothing, where one of several labels belongs`)
  }
  return accept({ rule: 'multi-label', labels: names.map((column) => ({ column })) })
}

function union(columns: readonly ColumnProfile[]): readonly number[] {
  return [...new Set(columns.flatMap(({ levels }) => levels))].sort((a, b) => a - b)
}
