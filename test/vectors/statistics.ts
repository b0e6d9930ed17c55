import { integerQuantiserFor } from '#aggregation/quantise.ts'
import { answerOf } from '#aggregation/statistics/answer.ts'
import { encodeTallies, payloadOf } from '#aggregation/statistics/lanes.ts'
import { encodeLanes, lanesOf, widthOf } from '#aggregation/vector.ts'
import type { Table } from '#client/data/csv.ts'
import { datasetVersion, tallyTable } from '#client/data/tally.ts'
import { toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import { must } from '#test/aggregation/given.ts'

const question: Question = {
  v: 1,
  kind: 'question',
  name: 'first look',
  minCell: 3,
  minCohort: 3,
  items: [
    { kind: 'count', column: null },
    { kind: 'moments', column: 'age', lowMicro: 0, highMicro: 120_000_000, resolutionMicro: 100_000 },
    {
      kind: 'histogram',
      column: 'age',
      edgesMicro: [0, 40_000_000, 60_000_000, 120_000_000],
      quantilesPerMille: [250, 500, 750],
    },
    { kind: 'categories', column: 'sex', levels: [0, 1] },
  ],
}

/** The first keeps everything; at the second, one row of 39 takes the three of 60 and more with it; the third has gaps. */
const tables = [
  'age,sex\n12.5,0\n39.95,1\n20,0\n40,1\n59.9,1\n41.05,1\n60,0\n',
  'age,sex\n39,0\n44,0\n45.26,0\n46,0\n47,0\n60,1\n71.2,1\n120,1\n',
  'age,sex\n130,1\n,1\n130,1\n125,7\n52,0\n53,0\n54,\n55,0\n',
] as const

/** One question to three sites: its bytes, each site's vector without masks, their sum and its answer. */
export function statisticsVector() {
  const quantiser = integerQuantiserFor(3)
  const bytes = encode(questionSchema, question)
  const sum = new Uint32Array(lanesOf(widthOf(payloadOf(question, quantiser))))
  const sites = tables.map((text) => {
    const table = tableIn(text)
    const lanes = encodeTallies(question, must(tallyTable(table, question)), quantiser)
    for (const [index, lane] of lanes.entries()) sum[index] = (sum[index] as number) + lane
    return { table: text, version: datasetVersion(table), vector: toHex(encodeLanes(lanes)) }
  })
  const answer = must(answerOf(question, sum, quantiser))
  const asText = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)
  return {
    question,
    bytes: toHex(bytes),
    cid: cidOf(DAG_CBOR, bytes),
    quantiser,
    sites,
    sum: toHex(encodeLanes(sum)),
    answer: JSON.parse(JSON.stringify(answer, asText)),
  }
}

/** The text's table without the reader of files, which no page has: numbers, and gaps. */
function tableIn(text: string): Table {
  const [header = [], ...rows] = text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','))
  const cell = (row: readonly string[], place: number) => (row[place] ? Number(row[place]) : Number.NaN)
  const columns = header.map((name, place) => {
    const values = Float64Array.from(rows, (row) => cell(row, place))
    return [name, { values, textLine: 0 }] as const
  })
  return { path: 'site.csv', rows: rows.length, columns: new Map(columns) }
}
