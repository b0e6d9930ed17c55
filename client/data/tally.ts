import { cellOf, isBeyond, stepOf, suppressionOf } from '#aggregation/statistics/cells.ts'
import type { MomentsTally, Tally } from '#aggregation/statistics/tally.ts'
import { createSha256, sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import {
  type CategoriesItem,
  cellsOf,
  type HistogramItem,
  type Item,
  type MomentsItem,
  type Question,
} from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { TallyRefusal } from '../asking.ts'
import type { Table } from './csv.ts'

/**
 * What this site has to say to a question, its small cells suppressed already: nothing smaller passes on from here. Of the
 * rows in suppressed cells nothing leaves but how many they are, and they are at least the minimum cell; a column's moments
 * leave them out, too. A site with fewer rows, or fewer values of a column, than the minimum cell takes no part: its zeros
 * would count as a site, and the others would be fewer than the question promises.
 */
export function tallyTable(table: Table, question: Question): Result<readonly Tally[], TallyRefusal> {
  const { items, minCell } = question
  if (table.rows < minCell) return refuse('too-few-rows', `this site has ${table.rows}, at least ${minCell}`)
  const tallies: Tally[] = []
  for (const item of items) {
    const tally = tallyItem(table, question, item)
    if (!tally.ok) return tally
    tallies.push(tally.value)
  }
  return accept(tallies)
}

function tallyItem(table: Table, { items, minCell }: Question, item: Item): Result<Tally, TallyRefusal> {
  const rows = BigInt(table.rows)
  const { column } = item
  if (column === null) return accept({ kind: 'count', rows, missing: 0n })
  const read = valuesOf(table, column)
  if (!read.ok) return read
  const { values, missing } = read.value
  if (item.kind === 'count') return accept({ kind: 'count', rows, missing })
  if (values.length < minCell)
    return refuse('too-few-values', `column ${column} has ${values.length}, at least ${minCell}`)
  if (item.kind !== 'moments') {
    const { cells, suppressed } = sort(item, values, minCell)
    return accept({ kind: 'cells', missing, suppressed, cells })
  }
  const histogram = items.find((other) => other.kind === 'histogram' && other.column === column)
  if (histogram?.kind !== 'histogram') return accept({ ...momentsOf(item, values, minCell), missing, suppressed: 0n })
  const { kept, suppressed } = sort(histogram, values, minCell)
  return accept({ ...momentsOf(item, kept, minCell), missing, suppressed })
}

function valuesOf(
  table: Table,
  name: string,
): Result<{ readonly values: Float64Array; readonly missing: bigint }, TallyRefusal> {
  const column = table.columns.get(name)
  if (!column) return refuse('no-column', `this site has no column ${name}`)
  if (column.textLine > 0) return refuse('text-column', `column ${name} holds text`)
  const values = column.values.filter((value) => !Number.isNaN(value))
  return accept({ values, missing: BigInt(table.rows - values.length) })
}

/** The cells that are published, and the values in them. */
function sort(item: HistogramItem | CategoriesItem, values: Float64Array, minCell: number) {
  const places = Uint16Array.from(values, (value) => cellOf(item, value))
  const rows = Array.from({ length: cellsOf(item) }, () => 0)
  for (const place of places) rows[place] = (rows[place] as number) + 1
  const isSuppressed = suppressionOf(rows, minCell)
  const kept = values.filter((_, index) => !isSuppressed[places[index] as number])
  const cells = rows.map((count, cell) => (isSuppressed[cell] ? 0n : BigInt(count)))
  return { kept, cells, suppressed: BigInt(values.length - kept.length) }
}

function momentsOf(
  item: MomentsItem,
  values: Float64Array,
  minCell: number,
): Omit<MomentsTally, 'missing' | 'suppressed'> {
  let [sum, squares] = [0n, 0n]
  let beyond = 0
  for (const value of values) {
    const step = BigInt(stepOf(item, value))
    sum += step
    squares += step * step
    if (isBeyond(item, value)) beyond++
  }
  const isSmall = beyond > 0 && beyond < minCell
  return {
    kind: 'moments',
    ...{ values: BigInt(values.length), sum, squares },
    clipped: isSmall ? 0n : BigInt(beyond),
    concealed: isSmall ? 1n : 0n,
  }
}

/**
 * The dataset's version, the key under which an answer is spent (R5): the same data have the same key whatever the
 * question, since the difference of two answers could be one row. It is a hash of what questions can see, by content: the
 * rows in any order, the columns in any order, numbers by value. So a file that was saved again is no new version, and one
 * with another row is. It stays at the site.
 */
export function datasetVersion({ rows, columns }: Table): string {
  const names = [...columns.keys()].sort()
  const values = names.map((name) => columns.get(name)?.values as Float64Array)
  const row = new DataView(new ArrayBuffer(8 * names.length))
  const bytes = new Uint8Array(row.buffer)
  const digests = Array.from({ length: rows }, (_, index) => {
    // Adding 0 makes −0 the 0 that it equals.
    for (const [place, column] of values.entries()) row.setFloat64(8 * place, (column[index] as number) + 0)
    return toHex(sha256(bytes))
  })
  const hash = createSha256()
  hash.update(utf8(`consilium/1 dataset\0${JSON.stringify(names)}`))
  for (const digest of digests.sort()) hash.update(utf8(digest))
  return `dataset:${toHex(hash.digest())}`
}
