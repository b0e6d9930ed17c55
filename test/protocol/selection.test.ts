import { describe, expect, test } from '@jest/globals'
import { sha256 } from '#crypto'
import { type Attendance, attend, attended, isKept, leavingWith } from '#protocol/attendance.ts'
import { utf8 } from '#protocol/bytes.ts'
import { encode } from '#protocol/codec.ts'
import { draw } from '#protocol/draw.ts'
import { type NodeId, nodeIdOf } from '#protocol/ids.ts'
import { ATTENDANCES_MAX, BLOCK_BYTES_MAX, COHORT_MAX, PHASE_MILLIS_MAX } from '#protocol/limits.ts'
import { selectionOf, selectionSchema, ticketsOf } from '#protocol/selection.ts'

const nodesOf = (count: number) =>
  Array.from({ length: count }, (_, place) => nodeIdOf(sha256(utf8(`node ${place}`)))).sort()
const known = { taken: 8, delivered: 8, passed: 0, paceMillis: null }

describe('tickets', () => {
  test.each([
    ['a newcomer', { taken: 0, delivered: 0 }, 2],
    ['one that failed once', { taken: 1, delivered: 0 }, 2],
    ['one that kept its first seat', { taken: 1, delivered: 1 }, 3],
    ['one that kept all', {}, 4],
    ['one that failed once in eight', { delivered: 7 }, 4],
    ['one that keeps every other seat', { delivered: 4 }, 2],
    ['one that never kept any', { delivered: 0 }, 1],
    ['one that waits', { passed: 1 }, 8],
    ['one that has waited long', { passed: 3 }, 16],
    ['one that never kept any and has waited long', { delivered: 0, passed: 3 }, 4],
  ])('of %s', (_, attended, tickets) => {
    expect(ticketsOf({ ...known, ...attended }, null)).toBe(tickets)
  })

  test('are half for each doubling above twice the middle pace, and never none', () => {
    const at = (paceMillis: number, change = {}) => ticketsOf({ ...known, ...change, paceMillis }, 1000)
    expect([1, 999, 1000, 1999].map((pace) => at(pace))).toEqual([4, 4, 4, 4])
    expect([2000, 3999].map((pace) => at(pace))).toEqual([2, 2])
    expect([4000, PHASE_MILLIS_MAX].map((pace) => at(pace))).toEqual([1, 1])
    expect(at(4000, { delivered: 0 })).toBe(1)
    expect(at(4000, { passed: 3 })).toBe(4)
  })

  test('do not go by pace unless the draw is paced', () => {
    const [node] = nodesOf(1) as [NodeId]
    const slow: Attendance = { node, kept: [true], passed: 0, paces: [9000, 100, 8000], round: 1 }
    expect(attended(slow, false).paceMillis).toBeNull()
    expect(attended(slow, true).paceMillis).toBe(8000)
  })
})

describe('attendance', () => {
  const [a, b] = nodesOf(2) as [NodeId, NodeId]
  const seat = (kept: boolean | null, paceMillis: number | null = null) => ({ kept, paceMillis })

  test('counts the last eight seats, and the draws without one since', () => {
    let all: readonly Attendance[] = []
    const sit = (seats: ReadonlyMap<NodeId, ReturnType<typeof seat>>) => {
      all = attend(all, { round: 1, candidates: [a, b], seats })
    }
    sit(new Map([[a, seat(false)]]))
    for (let turn = 0; turn < 8; turn++) sit(new Map([[a, seat(true, turn)]]))
    const [first, second] = all as [Attendance, Attendance]
    expect(attended(first, true)).toEqual({ taken: 8, delivered: 8, passed: 0, paceMillis: 5 })
    expect(attended(second, true)).toEqual({ taken: 0, delivered: 0, passed: 3, paceMillis: null })
    sit(new Map([[b, seat(true, 7)]]))
    expect(all.map((one) => attended(one, false))).toMatchObject([{ passed: 1 }, { taken: 1, delivered: 1, passed: 0 }])
  })

  test('says nothing of a seat that was not for the node to keep: it waits as before', () => {
    let all = attend([], { round: 1, candidates: [a, b], seats: new Map([[b, seat(true)]]) })
    all = attend(all, { round: 2, candidates: [a], seats: new Map([[a, seat(null)]]) })
    expect(attended(all[0] as Attendance, false)).toEqual({ taken: 0, delivered: 0, passed: 1, paceMillis: null })
  })

  test('blames who was late or left, and nobody whose keys were in dispute or whom the others failed', () => {
    for (const reason of ['late', 'straggler', 'no-keys', 'link-lost', 'data-changed'])
      expect(isKept({ update: null, reason })).toBe(false)
    for (const reason of ['round-ended', 'keys-in-dispute']) {
      expect(isKept({ update: null, reason })).toBeNull()
      // A node that could say so of itself would never be at fault.
      expect(isKept({ update: null, reason: leavingWith(reason) })).toBe(false)
    }
    expect(leavingWith('data-changed')).toBe('data-changed')
  })

  test('is bounded: who has been gone the longest is forgotten first', () => {
    const nodes = nodesOf(ATTENDANCES_MAX + 10)
    const [old, fresh] = [nodes.slice(0, ATTENDANCES_MAX), nodes.slice(100)]
    const first = attend([], { round: 1, candidates: old, seats: new Map() })
    const second = attend(first, { round: 2, candidates: fresh, seats: new Map() })
    expect(second).toHaveLength(ATTENDANCES_MAX)
    expect(second.map(({ node }) => node)).toEqual(nodes.slice(10))
  })
})

test('the record of the largest selection is one block', () => {
  const joined = nodesOf(COHORT_MAX).map((node) => ({ node, operator: 'o'.repeat(32) }))
  const longest = 'r'.repeat(32)
  const seats = new Map(joined.map(({ node }) => [node, { kept: true, paceMillis: PHASE_MILLIS_MAX }]))
  const attendance = attend([], { round: 1, candidates: joined.map(({ node }) => node), seats })
  const absent = joined.map(({ node }) => ({ node, reason: longest }))
  const record = selectionOf({ seed: new Uint8Array(32), joined, absent, attendance, paced: true })
  const bytes = encode(selectionSchema, record)
  expect(bytes.length).toBeLessThan(0.9 * BLOCK_BYTES_MAX)
  expect(bytes.length).toBeGreaterThan(0.8 * BLOCK_BYTES_MAX)
})

describe('over hundreds of rounds', () => {
  const [ROUNDS, MAX] = [300, 4]
  const nodes = nodesOf(12)

  /** Everybody asks for a seat in every round from its first on; each keeps its seats as often as it is said to. */
  function play(chances: (place: number) => number, from: (place: number) => number = () => 1) {
    let attendance: readonly Attendance[] = []
    const seats = nodes.map(() => 0)
    const waits = nodes.map(() => [0])
    for (let round = 1; round <= ROUNDS; round++) {
      const candidates = nodes.filter((_, place) => from(place) <= round)
      const joined = candidates.map((node) => ({ node, operator: null }))
      const seed = sha256(utf8(`round ${round}`))
      const record = selectionOf({ seed, joined, absent: [], attendance, paced: false })
      const cohort = draw(record, { max: MAX, operatorSeatsMax: 1 })
      const kept = cohort.map((node): [NodeId, { kept: boolean; paceMillis: null }] => {
        const luck = (sha256(utf8(`${node} ${round}`))[0] as number) / 256
        return [node, { kept: luck < chances(nodes.indexOf(node)), paceMillis: null }]
      })
      attendance = attend(attendance, { round, candidates, seats: new Map(kept) })
      for (const node of candidates) {
        const place = nodes.indexOf(node)
        if (cohort.includes(node)) {
          seats[place] = (seats[place] as number) + 1
          waits[place]?.push(0)
        } else waits[place]?.push((waits[place]?.pop() ?? 0) + 1)
      }
    }
    return { seats, waits: waits.map((list) => Math.max(...list)) }
  }
  const fair = (ROUNDS * MAX) / nodes.length

  test('equal nodes have equal shares of the seats, and none waits for long', () => {
    const { seats, waits } = play(() => 1)
    expect(Math.min(...seats)).toBeGreaterThan(0.85 * fair)
    expect(Math.max(...seats)).toBeLessThan(1.15 * fair)
    expect(Math.max(...waits)).toBeLessThan(6 * (nodes.length / MAX))
  })

  test('a node that fails has fewer seats, but has some', () => {
    const { seats, waits } = play((place) => (place < 4 ? 0.1 : 1))
    const [bad, good] = [seats.slice(0, 4), seats.slice(4)]
    expect(Math.max(...bad)).toBeLessThan(0.7 * Math.min(...good))
    expect(Math.min(...bad)).toBeGreaterThan(0.2 * fair)
    expect(Math.max(...waits.slice(0, 4))).toBeLessThan(10 * (nodes.length / MAX))
  })

  test('a node that joins late is seated as soon and as often as others', () => {
    const { seats, waits } = play(
      () => 1,
      (place) => (place === 7 ? ROUNDS / 2 : 1),
    )
    expect(seats[7]).toBeGreaterThan(0.8 * (fair / 2))
    expect(seats[7]).toBeLessThan(1.2 * (fair / 2))
    expect(waits[7]).toBeLessThan(6 * (nodes.length / MAX))
  })
})
