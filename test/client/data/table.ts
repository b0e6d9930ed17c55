import { type Table, TableReader } from '#client/data/csv.ts'
import { RecordReader } from '#client/data/records.ts'

/** A site's table in one piece. */
export function tableFrom(text: string): Table {
  const table = new TableReader('site.csv')
  const reader = new RecordReader('site.csv', table.take)
  reader.push(new TextEncoder().encode(text))
  reader.end()
  return table.end()
}
