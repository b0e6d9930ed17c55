import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import { isEnough } from '#aggregation/secagg/spending.ts'
import { obligations } from '#coordinator/obligations.ts'
import type { RoundEvent } from '#coordinator/round/events.ts'
import { endingOf } from '#coordinator/round/session.ts'
import type { Run } from '#coordinator/run.ts'
import { encodeEvent } from '#coordinator/run-events.ts'
import { encode } from '#protocol/codec.ts'
import { ENDINGS_MAX, EVENT_BYTES_MAX, REASON_CHARS_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import { endingsSchema } from '#protocol/manifest.ts'
import { must } from '#test/aggregation/given.ts'
import { cohortOf } from '#test/cohort.ts'
import { times } from '#test/effort.ts'
import { cid, type Happening, happens, maskedSpecOf } from './fixture.ts'
import { accepted, answerTo, lapse, play, refusalOf, speeches, stageOf, stamp, started, until } from './histories.ts'

/** A member's last word, and whether its link is seen to break after it. */
type Fate = { readonly last: (typeof WORDS)[number]; readonly noticed: boolean }
const WORDS = ['joined', 'dealt', 'agreed', 'reported', 'confirmed', 'unmasked'] as const
const EARLY = WORDS.slice(0, 4)

/** Cohorts that lose about as many as they can bear, before the certificate and after it. */
const cohorts = fc
  .oneof(fc.integer({ min: 3, max: 12 }), fc.constantFrom(20, 50, SESSION_MEMBERS_MAX))
  .chain((n) => fc.tuple(fc.constant(n), fc.integer({ min: 1, max: n - 2 })))
  .chain(([n, C]) => {
    const { q, t } = must(secureRule(n, { maxCorrupt: C }))
    const about = (most: number) => fc.constantFrom(0, most - 1, most, most, most + 1).map((lost) => Math.max(0, lost))
    const fates = fc.tuple(about(n - q), about(q - t)).chain(([early, late]) => {
      const lastOf = (place: number) =>
        place < early ? fc.constantFrom(...EARLY) : fc.constant(place < early + late ? 'confirmed' : 'unmasked')
      const fate = (place: number) => fc.record({ last: lastOf(place), noticed: fc.boolean() })
      const all = fc.tuple(...Array.from({ length: n }, (_, place) => fate(place))) as fc.Arbitrary<Fate[]>
      return all.chain((some) => fc.shuffledSubarray(some, { minLength: n, maxLength: n }))
    })
    return fc.record({ n: fc.constant(n), C: fc.constant(C), fates })
  })

/** Everyone speaks to its last word, then breaks off; time passes where nobody has anything to say. */
function playFates(run: Run, fates: readonly Fate[]): Run {
  let state = until(run, 'enrolling')
  const left = new Set<number>()
  for (let step = 0; state.past.length === 0; step++) {
    if (step > 100) throw new Error(`stuck in ${stageOf(state)}`)
    const before = state
    for (const owed of obligations(state)) state = accepted(state, answerTo(state, owed))
    const stage = stageOf(state)
    for (const { who, says } of speeches(state)) {
      const fate = fates[who] as Fate
      const silent = says.kind !== 'abandoned' && WORDS.indexOf(says.kind as Fate['last']) > WORDS.indexOf(fate.last)
      if (stageOf(state) !== stage || (silent && (!fate.noticed || left.has(who)))) continue
      if (silent) left.add(who)
      state = play(state, silent ? happens.leave(who) : says)
    }
    if (state === before) state = lapse(state)
  }
  return state
}

/** What must become of it, by the numbers alone. */
function expected(n: number, C: number, fates: readonly Fate[]): string {
  const { q, t } = must(secureRule(n, { maxCorrupt: C }))
  const came = (word: Fate['last']) => fates.filter(({ last }) => WORDS.indexOf(last) >= WORDS.indexOf(word)).length
  // Who is known to have broken off before it agreed is out of the round; who merely says nothing may still report.
  const here = fates.filter(({ last, noticed }) => WORDS.indexOf(last) >= 2 || (last === 'dealt' && !noticed)).length
  if (came('dealt') < q || here < q) return 'too-few-keys'
  if (came('reported') < q) return 'too-few-reports'
  if (came('confirmed') < q) return 'too-few-confirmations'
  return came('unmasked') < t ? 'too-few-shares' : 'closed'
}

const endOf = (run: Run) => (run.past[0]?.manifest ? 'closed' : run.past[0]?.reason)

test('a round closes exactly if n − q are lost before the certificate at most, and q − t more after it', () => {
  fc.assert(
    fc.property(cohorts, ({ n, C, fates }) => {
      expect(endOf(playFates(started(maskedSpecOf(n, C)), fates))).toBe(expected(n, C, fates))
    }),
    { numRuns: times(100, 300) },
  )
})

test('… and if the plan asks for more than q, exactly if that many give an input', () => {
  const cohort = cohortOf({ min: 7, max: 7, quorum: 6 })
  for (const lost of [0, 1, 2]) {
    const fates = Array.from(
      { length: 7 },
      (_, place): Fate => ({ last: place < lost ? 'dealt' : 'unmasked', noticed: true }),
    )
    const run = playFates(started(maskedSpecOf(7, 1, { cohort })), fates)
    expect(endOf(run)).toBe(lost < 2 ? 'closed' : 'too-few-keys')
  }
})

/** A run whose rounds all come to nothing after their inputs were asked for, unless a test lets one close. */
const failing = (n = 4) => started(maskedSpecOf(n, 1, { planned: 40, failuresMax: 40 }))
const spoil = (run: Run) => lapse(lapse(until(run, 'reporting')))

describe('abandonment', () => {
  test('is over when no sum can be opened any more, when all of U2 have erased, or at its deadline', () => {
    const sizes = fc.integer({ min: 3, max: 12 }).chain((n) =>
      fc.record({
        n: fc.constant(n),
        C: fc.integer({ min: 1, max: n - 2 }),
        out: fc.nat({ max: 2 }),
        order: fc.shuffledSubarray(Array.from({ length: n }, (_, who) => who)),
        confirmed: fc.array(fc.boolean(), { minLength: n, maxLength: n }),
      }),
    )
    fc.assert(
      fc.property(sizes, ({ n, C, out, order, confirmed }) => {
        const rule = must(secureRule(n, { maxCorrupt: C }))
        const missing = Math.min(out, n - rule.q)
        const gone = Array.from({ length: missing }, (_, who) => happens.leave(who))
        let run = lapse(until(play(until(started(maskedSpecOf(n, C)), 'dealing'), ...gone), 'reporting'))
        const said: boolean[] = []
        const awaited = new Set(Array.from({ length: n - missing }, (_, place) => place + missing))
        for (const who of order) {
          expect(stageOf(run)).toBe('abandonment')
          run = play(run, happens.abandon(who, confirmed[who]))
          said.push(confirmed[who] === true)
          awaited.delete(who)
          const counts = { all: said.length, unconfirmed: said.filter((after) => !after).length }
          if (!isEnough(n, rule, counts) && awaited.size > 0) continue
          expect(endOf(run)).toBe('too-few-reports')
          return
        }
        expect(endOf(lapse(run))).toBe('too-few-reports')
      }),
      { numRuns: times(100, 300) },
    )
  })

  test('takes one word of each member, and nothing else', () => {
    const run = play(lapse(until(failing(), 'reporting')), happens.abandon(0))
    expect(refusalOf(run, happens.abandon(0, true))).toBe('said-already')
    expect(refusalOf(run, happens.abandon(4))).toBe('not-in-cohort')
    for (const late of [
      happens.report(1),
      happens.leave(1),
      happens.confirm(1),
      happens.deal(1),
      happens.join(1, cid('a')),
    ])
      expect(refusalOf(run, late)).toBe('wrong-phase')
  })
})

describe('how sessions over a model ended', () => {
  test('is told until the model changes, of the latest, each with all who have erased by then', () => {
    let run = failing()
    for (let round = 1; round <= ENDINGS_MAX + 4; round++) {
      run = spoil(run)
      expect(run.endings.map((ending) => ending.round)).toEqual(
        Array.from({ length: round }, (_, index) => index + 1).slice(-ENDINGS_MAX),
      )
      expect(() => encode(endingsSchema, run.endings.map(endingOf))).not.toThrow()
    }
    expect(until(until(run, 'settlement'), undefined).endings).toEqual([])
  })

  test('is a late Abandon’s to add to, once, also while the next round is open', () => {
    const opened = until(spoil(failing()), 'dealing')
    const about = { round: 1 }
    const added = accepted(opened, stamp(opened, happens.abandon(2, true), about))
    expect(added.endings.map(endingOf)).toMatchObject([{ round: 1, certified: null, abandons: [cid('abandon 2')] }])
    expect(added.round).toBe(opened.round)
    expect(refusalOf(added, happens.abandon(2), about)).toBe('said-already')
    expect(refusalOf(added, happens.abandon(5), about)).toBe('not-in-cohort')
    expect(refusalOf(added, happens.abandon(2), { round: 7 })).toBe('past-round')
    expect(refusalOf(added, happens.abandon(2))).toBe('wrong-phase')
  })

  test('is told of a certified set, whether its shares did not come or its sum was spoiled', () => {
    const late = lapse(until(failing(), 'unmasking'))
    const spoiled = play(until(failing(), 'aggregation'), happens.spoil())
    for (const run of [late, spoiled])
      expect(run.endings.map(endingOf)).toMatchObject([
        { certified: { certificate: cid('certificate') }, abandons: [] },
      ])
  })

  test('is not told of a session that no input can have gone into', () => {
    for (const stage of ['selection', 'enrolling', 'dealing', 'sharing'])
      expect(lapse(until(failing(), stage)).endings).toEqual([])
    expect(play(until(failing(), 'agreeing'), happens.leave(0), happens.leave(1)).endings).toEqual([])
  })

  test('stays known after a round that leaves the model as it was: inputs are spent by their model', () => {
    const aggregating = until(spoil(failing()), 'aggregation')
    const same = play(aggregating, { ...happens.aggregate(), model: aggregating.model } as Happening, happens.settle())
    expect(same.endings.map(endingOf)).toMatchObject([
      { round: 1, certified: null },
      { round: 2, certified: {} },
    ])
  })
})

test('a masked run says how it is masked, and a plain one that it is not', () => {
  expect(() => started(maskedSpecOf(4, 1, { secure: null }))).toThrow('a masked run says how')
  expect(() => started(maskedSpecOf(4, 1, { masking: 'none' }))).toThrow('a masked run says how')
})

test('no event of a session is larger than an entry of the log may be', () => {
  const last = SESSION_MEMBERS_MAX - 1
  const out = Array.from({ length: SESSION_MEMBERS_MAX }, (_, seat) => seat)
  const about = { at: Number.MAX_SAFE_INTEGER, round: 4096 }
  const all: readonly Happening[] = [
    ...[
      happens.join(last, cid('advert')),
      happens.enrol(),
      happens.deal(last),
      happens.share(out),
      happens.agree(last),
    ],
    ...[happens.object(last), happens.report(last), happens.survey(), happens.confirm(last), happens.certify()],
    ...[happens.unmask(last), happens.abandon(last), happens.aggregate(SESSION_MEMBERS_MAX), happens.settle()],
    ...[happens.spoil('漢'.repeat(REASON_CHARS_MAX)), happens.tick()],
  ]
  for (const happening of all)
    expect(encodeEvent({ ...happening, ...about } as RoundEvent).length).toBeLessThanOrEqual(EVENT_BYTES_MAX)
  expect(() => encodeEvent({ ...happens.share([...out, 0]), ...about } as RoundEvent)).toThrow()
})
