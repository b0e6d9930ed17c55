/** What a benchmark found: tables, for people as text and for machines as JSON. */
export type Report = {
  readonly bench: string
  /** What was measured and against what. */
  readonly notes: readonly string[]
  readonly tables: readonly Table[]
}

export type Table = {
  readonly title: string
  /** Column heads, with their units. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

export function textOf(report: Report): string {
  const tables = report.tables.map((table) => `${table.title}\n${linesOf(table).join('\n')}\n`)
  return [`# ${report.bench}`, ...report.notes, '', ...tables].join('\n')
}

function linesOf({ columns, rows }: Table): readonly string[] {
  const cells = [columns, ...rows.map((row) => row.map(String))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  return cells.map((row) => `  ${row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ')}`)
}
