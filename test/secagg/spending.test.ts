import { describe, expect, test } from '@jest/globals'
import { certificateOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Said, say } from '#aggregation/secagg/messages.ts'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import { abandon, abandonAfterRestart, confirm } from '#aggregation/secagg/participant.ts'
import { openSession, openSharing, openSurvival, type Survival } from '#aggregation/secagg/session.ts'
import {
  type Ending,
  isAbandoned,
  isEnough,
  mayConfirm,
  maySpend,
  type Spending,
  UNSPENT,
} from '#aggregation/secagg/spending.ts'
import type { Masked, Site } from '#aggregation/secagg/states.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { cohortOf, Vectors } from './cohort.ts'
import { dealAll, maskAll, shareOut } from './play.ts'

const cohort = cohortOf('spending', 7)
const refuses = (refusal: string) => ({ ok: false, refusal })
const own = (cohort.sites[0] as Site).signer.id

/** One session with some survivors, up to its certificate. Another `turn` has fresh adverts. */
async function session(turn: number, survivors: readonly number[]) {
  const out = must(shareOut(cohort, dealAll(cohort, [], turn)))
  const states = await maskAll(cohort, out.keyed, new Vectors())
  const opened = must(openSession(out.dealt.roster, out.dealt.adverts, cohort.coordinator.id))
  const sharing = must(openSharing(opened, out.shared, out.dealt.keys))
  const inputs = [...states.values()].map(({ input }) => input).filter(({ body }) => survivors.includes(body.u))
  const said = say(cohort.coordinator, 'Survivors', survivorsOf(sharing, inputs))
  const survival = must(openSurvival(sharing, said, inputs))
  return { session: opened, states, said, inputs, survival }
}

async function certified(turn: number, survivors: readonly number[]) {
  const made = await session(turn, survivors)
  const confirms = survivors.map(
    (u) => must(confirm(made.states.get(u) as Masked, made.said, made.inputs, UNSPENT)).say,
  )
  const certificate = say(cohort.coordinator, 'QuorumCert', must(certificateOf(made.survival, confirms)))
  return { ...made, certificate }
}

const record = (sid: Uint8Array): Spending => ({ inputKey: 'model', sid })
const ended = ({ survival, certificate }: { survival: Survival; certificate: Said<'QuorumCert'> }): Ending => ({
  kind: 'certified',
  survival,
  certificate,
})

describe('an input that went into a session', () => {
  test('goes into no other while nothing shows how that one ended: a certificate may be withheld', async () => {
    const first = await session(0, [1, 2, 3, 4, 5, 6, 7])
    expect(maySpend(own, [record(first.session.sid)], [])).toMatchObject(refuses('input-spent'))
    expect(maySpend(own, [], [])).toEqual({ ok: true, value: UNSPENT })
  })

  test('is free again when so many abandoned that no sum can be opened', async () => {
    const { session: opened } = await session(0, [1, 2, 3, 4, 5, 6, 7])
    const { q, t, C } = opened.params
    const [unconfirmed, any] = [7 + C - q + 1, 7 - t + C + 1]
    const told = (u: number, confirmed: boolean) =>
      say((cohort.sites[u - 1] as Site).signer, 'Abandon', { sid: opened.sid, u, confirmed })
    const some = (count: number, confirmed: boolean) =>
      Array.from({ length: count }, (_, index) => told(index + 1, confirmed))
    expect(isAbandoned(opened, some(unconfirmed, false))).toBe(true)
    expect(isAbandoned(opened, some(unconfirmed - 1, false))).toBe(false)
    expect(isAbandoned(opened, some(any, true))).toBe(true)
    expect(isAbandoned(opened, some(any - 1, true))).toBe(false)
    const short = some(Math.min(unconfirmed, any) - 1, false)
    expect(isAbandoned(opened, [...short, ...short])).toBe(false)
    const foreign = say((cohort.sites[6] as Site).signer, 'Abandon', { sid: opened.sid, u: 1, confirmed: false })
    expect(
      isAbandoned(opened, [
        ...short,
        foreign,
        say(cohort.coordinator, 'Abandon', { sid: seed(1), u: 7, confirmed: false }),
      ]),
    ).toBe(false)
    const ending: Ending = { kind: 'abandoned', session: opened, abandons: some(unconfirmed, false) }
    expect(maySpend(own, [record(opened.sid)], [ending])).toEqual({ ok: true, value: UNSPENT })
    expect(maySpend(own, [record(opened.sid)], [{ ...ending, abandons: short }])).toMatchObject(
      refuses('too-few-abandoned'),
    )
  })

  test('is told free not one Abandon too early: one fewer, one of them a lie, and a certificate is made after all', async () => {
    const { session: opened, states, said, inputs, survival } = await session(0, [1, 2, 3, 4, 5, 6, 7])
    const { q, C } = opened.params
    const lie = say((cohort.sites[2] as Site).signer, 'Abandon', { sid: opened.sid, u: 3, confirmed: false })
    const leave = (u: number) => must(abandon(states.get(u) as Masked)).say
    const sign = (u: number) => confirm(states.get(u) as Masked, said, inputs, UNSPENT)
    const short = [leave(1), leave(2), lie]
    expect(short).toHaveLength(7 + C - q)
    expect(isAbandoned(opened, short)).toBe(false)
    expect([1, 2].map(sign)).toMatchObject([refuses('already-confirmed'), refuses('already-confirmed')])
    const before = [3, 5, 6, 7].map((u) => must(sign(u)).say)
    // Whether member 4 signs or abandons decides it.
    expect(isAbandoned(opened, [...short, leave(4)])).toBe(true)
    expect(sign(4)).toMatchObject(refuses('already-confirmed'))
    expect(certificateOf(survival, before)).toMatchObject(refuses('too-few-signatures'))
    const again = await session(0, [1, 2, 3, 4, 5, 6, 7])
    const fourth = must(confirm(again.states.get(4) as Masked, again.said, again.inputs, UNSPENT)).say
    must(certificateOf(survival, [...before, fourth]))
  })

  test('a member that restarts can say no better than that it may have confirmed', async () => {
    const { session: opened } = await session(0, [1, 2, 3, 4, 5, 6, 7])
    const said = abandonAfterRestart((cohort.sites[2] as Site).signer, opened.sid, 3)
    expect(said.body).toEqual({ sid: opened.sid, u: 3, confirmed: true })
  })

  test('with a certificate shown, must be trained afresh where it was in the sum', async () => {
    const within = await certified(0, [1, 2, 3, 4, 5, 6])
    expect(must(maySpend(own, [record(within.session.sid)], [ended(within)])).mustBeFresh).toBe(true)
    const without = await certified(1, [2, 3, 4, 5, 6, 7])
    expect(must(maySpend(own, [record(without.session.sid)], [ended(without)])).mustBeFresh).toBe(false)
  })

  test('goes unchanged into the very set that it was summed in, and into no other however far apart', async () => {
    const first = await certified(0, [1, 2, 3, 4, 5, 6])
    const [same, apart] = [await certified(1, [1, 2, 3, 4, 5, 6]), await certified(2, [1, 4, 5, 6, 7])]
    const fresh = must(maySpend(own, [record(first.session.sid)], [ended(first)]))
    must(mayConfirm(fresh, apart.survival))
    must(mayConfirm({ ...fresh, isRepeat: true }, same.survival))
    expect(mayConfirm({ ...fresh, isRepeat: true }, apart.survival)).toMatchObject(refuses('sums-too-alike'))
  })

  test('is no evidence with a certificate of another set', async () => {
    const [first, second] = [await certified(0, [1, 2, 3, 4, 5]), await certified(1, [1, 2, 3, 4, 5])]
    const mixed = ended({ survival: first.survival, certificate: second.certificate })
    expect(maySpend(own, [record(first.session.sid)], [mixed])).toMatchObject(refuses('another-session'))
  })
})

/** What a member is seen to be in at the end: still there, or gone by a word that it had not confirmed, or that it may have. */
const FATES = ['there', 'unconfirmed', 'confirmed'] as const
type Fate = (typeof FATES)[number]

/** Whether these corrupt members, who sign and give whatever they said, and everybody still there can open a sum. */
function canOpen(fates: readonly Fate[], corrupt: ReadonlySet<number>, { q, t }: { q: number; t: number }): boolean {
  const signers = fates.filter((fate, index) => fate !== 'unconfirmed' || corrupt.has(index))
  const givers = fates.filter((fate, index) => fate === 'there' || corrupt.has(index))
  return signers.length >= q && givers.length >= t
}

describe('an abandonment is enough exactly when no choice of the corrupt can open a sum any more', () => {
  test('for every fate of up to seven members, and every choice of who is corrupt', () => {
    for (let n = 3; n <= 7; n++)
      for (let C = 1; C <= n - 2; C++) {
        const rule = must(secureRule(n, { maxCorrupt: C }))
        const choices = Array.from({ length: 2 ** n }, (_, bits) => [...Array(n).keys()].filter((i) => (bits >> i) & 1))
          .filter((choice) => choice.length === C)
          .map((choice) => new Set(choice))
        for (let code = 0; code < 3 ** n; code++) {
          const fates = Array.from({ length: n }, (_, i) => FATES[Math.floor(code / 3 ** i) % 3] as Fate)
          const unconfirmed = fates.filter((fate) => fate === 'unconfirmed').length
          const all = fates.filter((fate) => fate !== 'there').length
          const opened = choices.some((corrupt) => canOpen(fates, corrupt, rule))
          if (isEnough(n, rule, { all, unconfirmed }) === opened)
            throw new Error(`${n} members, ${C} corrupt: ${fates}, ${opened ? 'a sum can' : 'no sum can'} be opened`)
        }
      }
  })

  test('by numbers, for every size, C and count', () => {
    for (let n = 3; n <= 128; n++)
      for (let C = 1; C <= n - 2; C++) {
        const rule = must(secureRule(n, { maxCorrupt: C }))
        const { q, t } = rule
        for (let some = 0; some <= n; some++) {
          // The corrupt are best hidden among those who abandoned.
          const [signers, givers] = [n - some + Math.min(C, some), n - some + Math.min(C, some)]
          const closed = isEnough(n, rule, { all: 0, unconfirmed: some })
          if (closed !== signers < q) throw new Error(`n ${n}, C ${C}: ${some} unconfirmed`)
          if (isEnough(n, rule, { all: some, unconfirmed: 0 }) !== givers < t)
            throw new Error(`n ${n}, C ${C}: ${some}`)
        }
        // The first edition asked for q: never fewer, and one too many whenever n + C is even.
        expect(q - (n + C - q + 1)).toBe((n + C) % 2 === 0 ? 1 : 0)
      }
  })
})

describe('a retry of a certified session', () => {
  test.each([
    ['the same set again', [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7], undefined],
    ['the same set minus one', [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6], 'sums-too-alike'],
    ['two members fewer, one of whom may be corrupt', [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5], 'sums-too-alike'],
    ['one member for another', [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7], 'sums-too-alike'],
    ['two for two others', [1, 2, 3, 4, 5], [1, 2, 3, 6, 7], undefined],
  ] as const)('with %s', async (_, before, after, refusal) => {
    const first = await certified(0, before)
    const freshness = must(maySpend(own, [record(first.session.sid)], [ended(first)]))
    const retry = await session(1, after)
    const answer = confirm(retry.states.get(1) as Masked, retry.said, retry.inputs, freshness)
    expect(answer).toMatchObject(refusal ? refuses(refusal) : { ok: true })
  })

  test('after two certified sums takes only a set that was one of them', async () => {
    const [first, second] = [await certified(0, [1, 2, 3, 4, 5]), await certified(1, [1, 2, 3, 6, 7])]
    const records = [record(first.session.sid), record(second.session.sid)]
    const freshness = must(maySpend(own, records, [ended(first), ended(second)]))
    const third = await session(2, [1, 4, 5, 6, 7])
    expect(confirm(third.states.get(1) as Masked, third.said, third.inputs, freshness)).toMatchObject(
      refuses('too-many-sums'),
    )
    const again = await session(3, [1, 2, 3, 6, 7])
    expect(confirm(again.states.get(1) as Masked, again.said, again.inputs, freshness).ok).toBe(true)
  })
})
