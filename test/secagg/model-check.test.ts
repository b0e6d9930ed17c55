import { describe, expect, test } from '@jest/globals'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import type { Masked } from '#aggregation/secagg/states.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { must } from '#test/aggregation/given.ts'
import { some } from '#test/effort.ts'
import { advertiseAs, cohortOf } from './cohort.ts'
import { known, leak, type Seen, strip } from './knowledge.ts'
import { type Deed, membersOf, type Set_, setOf, Worlds } from './members.ts'

/**
 * Every strategy of a lying coordinator with one corrupt member, over which U2, which U3 and which certificate each honest
 * member is shown. What a member does under each is what its real code did; what the coordinator then knows is counted.
 */
type Options = ReadonlyMap<number, readonly Seen[]>

/** All subsets of 1 … n. */
function subsets(n: number): readonly Set_[] {
  return Array.from({ length: 2 ** n }, (_, bits) =>
    setOf(Array.from({ length: n }, (_, index) => index + 1).filter((u) => (bits >> (u - 1)) & 1)),
  )
}

/** Shows every U2 and U3 to every honest member, and keeps what it did under those it took. */
async function explore(worlds: Worlds, n: number): Promise<Options> {
  const options = new Map<number, readonly Seen[]>()
  for (let u = 1; u < n; u++) {
    const seen: Seen[] = []
    let state = worlds.fresh(u)
    for (const u2 of subsets(n)) {
      if (!worlds.agree(u, u2, state).ok) continue
      state = worlds.fresh(u)
      seen.push({ u, u2 })
      let masked = await worlds.masked(u, u2)
      for (const u3 of subsets(n).filter((set) => isInside(set, u2))) {
        await refusesMixture(worlds, n, masked, u2, u3)
        if (!(await worlds.confirm(masked, u2, u3)).ok) continue
        seen.push({ u, u2, u3 })
        masked = await worlds.masked(u, u2)
      }
    }
    options.set(u, seen)
  }
  return options
}

const isInside = (inner: Set_, outer: Set_) => membersOf(inner).every((v) => membersOf(outer).includes(v))

/** A survivors list with an input that was masked for another U2 is never signed. */
async function refusesMixture(worlds: Worlds, n: number, masked: Masked, u2: Set_, u3: Set_): Promise<void> {
  const odd = membersOf(u3).find((v) => v !== masked.u)
  const { q } = worlds.session.params
  const another = subsets(n).find(
    (set) => set !== u2 && membersOf(set).includes(odd ?? 0) && membersOf(set).length >= q,
  )
  if (odd === undefined || another === undefined) return
  const refused = await worlds.confirm(masked, u2, u3, (v) => (v === odd ? another : u2))
  expect(refused.ok).toBe(false)
}

/** A certificate needs q signatures of its set: the honest who signed it, and the corrupt member where it is in the set. */
function certified(seen: readonly Seen[], n: number, q: number): (one: Seen) => boolean {
  return ({ u2, u3 }) => {
    if (u3 === undefined) return false
    const honest = new Set(seen.filter((other) => other.u2 === u2 && other.u3 === u3).map(({ u }) => u))
    return honest.size + (membersOf(u3).includes(n) ? 1 : 0) >= q
  }
}

/** All choices for each honest member, nothing among them; a certificate is shown to whoever it can be made for, or not. */
function* strategies(
  options: readonly (readonly (readonly Seen[])[])[],
  n: number,
  q: number,
): Generator<readonly Seen[]> {
  const choose = function* (at: number, chosen: readonly Seen[]): Generator<readonly Seen[]> {
    const own = options[at]
    if (!own) {
      if (chosen.every((one) => isFeasible(one, chosen, n))) yield* withAnswers(chosen, n, q)
      return
    }
    yield* choose(at + 1, chosen)
    for (const life of own) yield* choose(at + 1, [...chosen, ...life])
  }
  yield* choose(0, [])
}

/** A list can only name honest members' inputs that were made. */
function isFeasible({ u2, u3 }: Seen, chosen: readonly Seen[], n: number): boolean {
  return membersOf(u3 ?? '').every((v) => v === n || chosen.some((other) => other.u === v && other.u2 === u2))
}

function* withAnswers(chosen: readonly Seen[], n: number, q: number): Generator<readonly Seen[]> {
  const may = certified(chosen, n, q)
  const able = chosen.flatMap((one, index) => (may(one) ? [index] : []))
  for (let bits = 0; bits < 2 ** able.length; bits++)
    yield chosen.map((one, index) =>
      able.includes(index) && (bits >> able.indexOf(index)) & 1 ? { ...one, unmasked: true } : one,
    )
}

/** Sums that the coordinator can open: a certified set whose seeds and roots it knows. */
function opens(seen: readonly Seen[], t: number, honest: readonly number[]): boolean {
  const { self, root } = known([seen], t, honest)
  return seen.some(({ u2, u3, unmasked }) => {
    if (!unmasked || u3 === undefined) return false
    const inside = (v: number) => membersOf(u3).includes(v)
    return membersOf(u2).every((v) => !honest.includes(v) || (inside(v) ? self.has(v) : root.has(v)))
  })
}

const once = (seen: readonly Seen[]) => seen.map((one) => [one])
/** A second life after a restart with its secrets: what R3 forbids. */
const twice = (seen: readonly Seen[]) => [
  ...once(seen),
  ...seen.flatMap((first, index) => seen.slice(index + 1).map((second) => [first, second])),
]

async function world(n: number, attempt = 1) {
  const worlds = new Worlds(cohortOf(`model ${n}`, n), attempt)
  const { q, t } = must(secureRule(n, { maxCorrupt: 1 }))
  const honest = Array.from({ length: n - 1 }, (_, index) => index + 1)
  const options = await explore(worlds, n)
  return { worlds, q, t, honest, options, lives: honest.map((u) => options.get(u) as readonly Seen[]) }
}

/** Does in bytes what a strategy says, with the real code. */
async function carryOut(worlds: Worlds, n: number, strategy: readonly Seen[]): Promise<readonly Deed[]> {
  const acted = []
  for (const one of strategy) {
    const masked = await worlds.masked(one.u, one.u2)
    const confirmed = one.u3 === undefined ? undefined : must(await worlds.confirm(masked, one.u2, one.u3))
    acted.push({ one, input: masked.input, confirmed })
  }
  const deeds: Deed[] = []
  for (const { one, input, confirmed } of acted) {
    if (!confirmed || one.u3 === undefined) {
      deeds.push({ u: one.u, u2: one.u2, input })
      continue
    }
    const confirms = acted.flatMap((other) =>
      other.one.u2 === one.u2 && other.one.u3 === one.u3 && other.confirmed ? [other.confirmed.say] : [],
    )
    if (membersOf(one.u3).includes(n)) {
      const corrupt = await worlds.masked(n, one.u2)
      confirms.push(must(await worlds.confirm(corrupt, one.u2, one.u3)).say)
    }
    const answer = one.unmasked
      ? must(worlds.unmask(confirmed.next, must(await worlds.certificate(one.u2, one.u3, confirms))))
      : undefined
    deeds.push({ u: one.u, u2: one.u2, input, u3: one.u3, ...(answer ? { unmask: answer.say } : {}) })
  }
  return deeds
}

describe.each(some(2, [3, 4, 5]))('of %i members, one of them corrupt', (n) => {
  test('no strategy of the coordinator opens one honest input, and the honest sums are opened', async () => {
    const { q, t, honest, lives } = await world(n)
    let [tried, sums] = [0, 0]
    for (const strategy of strategies(lives.map(once), n, q)) {
      tried += 1
      if (leak([strategy], t, honest)) throw new Error(`a leak: ${JSON.stringify(strategy)}`)
      if (opens(strategy, t, honest)) sums += 1
    }
    expect(tried).toBeGreaterThanOrEqual({ 3: 10, 4: 500, 5: 3_000 }[n] ?? Number.POSITIVE_INFINITY)
    expect(sums).toBeGreaterThan(0)
    console.log(`model check, ${n} members: ${tried} strategies, ${sums} opened sums, no leak`)
  })

  test('a member that dealt for one roster deals for no other with the same advert (R1)', async () => {
    const [first, second] = [new Worlds(cohortOf(`model ${n}`, n), 1), new Worlds(cohortOf(`model ${n}`, n), 2)]
    for (let u = 1; u < n; u++) {
      const own = advertiseAs(first.cohort, u).next
      const answers = [first, second, first].map((worlds) => worlds.share(own))
      expect(answers.map((answer) => (answer.ok ? 'dealt' : answer.refusal))).toEqual([
        'dealt',
        'advert-used',
        'advert-used',
      ])
    }
  })
})

describe('with a rule off, of 4 members, the same search finds leaks', () => {
  const n = 4

  test('two lives in one session (R3): one member may mask and confirm twice', async () => {
    const { worlds, q, t, honest, lives } = await world(n)
    let [tried, leaks] = [0, 0]
    let example: readonly Seen[] | undefined
    for (const victim of honest) {
      const choices = lives.map((seen, index) => (index + 1 === victim ? twice(seen) : once(seen)))
      for (const strategy of strategies(choices, n, q)) {
        tried += 1
        if (!leak([strategy], t, honest)) continue
        leaks += 1
        example ??= strategy
      }
    }
    console.log(`model check, ${n} members, R3 off: ${leaks} leaks in ${tried} strategies`)
    if (!example) throw new Error('no leak was found')
    const victim = leak([example], t, honest)
    if (!victim) throw new Error('the example is a leak')
    const plain = strip([worlds], [await carryOut(worlds, n, example)], n, victim)
    expect(toHex(encodeLanes(plain))).toBe(toHex(encodeLanes(worlds.cohort.inputs[victim.u - 1] as Uint32Array)))
  })

  test('two sessions of the same adverts (R1): what one reveals opens the other', async () => {
    const first = await world(n)
    const second = new Worlds(first.worlds.cohort, 2)
    const { q, t, honest, lives } = first
    const distinct = new Map<string, readonly Seen[]>()
    for (const strategy of strategies(lives.map(once), n, q)) {
      const { self, root } = known([strategy], t, honest)
      distinct.set(JSON.stringify([[...self], [...root], strategy.map(({ u, u2 }) => [u, u2])]), strategy)
    }
    const all = [...distinct.values()]
    let [tried, leaks] = [0, 0]
    let example: readonly (readonly Seen[])[] | undefined
    for (const a of all)
      for (const b of all) {
        tried += 1
        if (!leak([a, b], t, honest)) continue
        leaks += 1
        example ??= [a, b]
      }
    console.log(`model check, ${n} members, R1 off: ${leaks} leaks in ${tried} pairs of strategies`)
    if (!example) throw new Error('no leak was found')
    const victim = leak(example, t, honest)
    if (!victim) throw new Error('the example is a leak')
    const both = [first.worlds, second]
    const deeds = []
    for (const [index, strategy] of example.entries()) deeds.push(await carryOut(both[index] as Worlds, n, strategy))
    const plain = strip(both, deeds, n, victim)
    expect(toHex(encodeLanes(plain))).toBe(toHex(encodeLanes(first.worlds.cohort.inputs[victim.u - 1] as Uint32Array)))
  })
})
