import { type Table, type TableBounds, TableReader } from '#client/data/csv.ts'
import { RecordReader } from '#client/data/records.ts'

/** A site's table in one piece. */
export function tableFrom(text: string, most?: TableBounds): Table {
  const table = new TableReader('site.csv', most)
  const reader = new RecordReader('site.csv', table.take)
  reader.push(new TextEncoder().encode(text))
  reader.end()
  return table.end()
}
