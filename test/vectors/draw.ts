import { type Attendance, attended } from '#protocol/attendance.ts'
import { toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { draw } from '#protocol/draw.ts'
import { drawRank } from '#protocol/seeds.ts'
import { selectionOf, selectionSchema } from '#protocol/selection.ts'
import { secretOf, secretsOf } from './run.ts'

/** Six who want four seats: two are run by one operator that may have one, one is slow, one unreliable, one waits, one is new. */
export function drawVector() {
  const nodes = [...secretsOf(2, 3, 4, 5, 6, 7).keys()].sort()
  const operators = ['alba', null, 'alba', null, null, null]
  const kept = [[true, true], [true, true, true, true], [true], [false, false, true], [true, true, true], null]
  const paces = [[1000], [5000, 1000, 4000], [1200], [900], [1100], null]
  const passed = [0, 0, 0, 0, 3, 0]
  const attendance = nodes.flatMap((node, place): Attendance[] => {
    const [seats, times] = [kept[place], paces[place]]
    return seats && times ? [{ node, kept: seats, passed: passed[place] ?? 0, paces: times, round: 1 }] : []
  })
  const rule = { max: 4, operatorSeatsMax: 1, paced: true }
  const joined = nodes.map((node, place) => ({ node, operator: operators[place] ?? null }))
  const seed = secretOf(9)
  const absent = [...secretsOf(8).keys()].map((node) => ({ node, reason: 'busy' }))
  const selection = selectionOf({ seed, joined, absent, attendance, paced: rule.paced })
  const bytes = encode(selectionSchema, selection)
  return {
    seed: toHex(seed),
    rule,
    attendance: attendance.map((one) => ({ node: one.node, ...attended(one, true) })),
    candidates: selection.candidates.map(({ node, operator, tickets }) => {
      return { node, operator, tickets, rank: drawRank(seed, node, tickets) }
    }),
    cohort: draw(selection, rule),
    record: toHex(bytes),
    cid: cidOf(DAG_CBOR, bytes),
  }
}
