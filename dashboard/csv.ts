/** A table as RFC 4180 has it. Text that a spreadsheet would compute is told to be text. */
export function csvOf(rows: readonly (readonly (string | number | bigint | null)[])[]): string {
  return `${rows.map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`
}

function cell(value: string | number | bigint | null): string {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export type TableRow = Readonly<Record<string, string | number | null>>

/** Rows of the same fields, which are the names of the columns. */
export function saveTable(name: string, rows: readonly TableRow[]): void {
  const columns = Object.keys(rows[0] ?? {})
  const lines = rows.map((row) => columns.map((column) => row[column] ?? null))
  download(`${name}.csv`, csvOf([columns, ...lines]), 'text/csv')
}

export function download(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
