import { describe, expect, test } from '@jest/globals'
import { certificateOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Said, say } from '#aggregation/secagg/messages.ts'
import { abandonAfterRestart, confirm } from '#aggregation/secagg/participant.ts'
import { openSession, openSharing, openSurvival, type Survival } from '#aggregation/secagg/session.ts'
import { type Ending, isAbandoned, maySpend, type Spending, UNSPENT } from '#aggregation/secagg/spending.ts'
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
    const abandon = (u: number, confirmed: boolean) =>
      say((cohort.sites[u - 1] as Site).signer, 'Abandon', { sid: opened.sid, u, confirmed })
    const [unconfirmed, any] = [q, 7 - t + C + 1]
    const some = (count: number, confirmed: boolean) =>
      Array.from({ length: count }, (_, index) => abandon(index + 1, confirmed))
    expect(isAbandoned(opened, some(unconfirmed, false))).toBe(true)
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

  test('is no evidence with a certificate of another set', async () => {
    const [first, second] = [await certified(0, [1, 2, 3, 4, 5]), await certified(1, [1, 2, 3, 4, 5])]
    const mixed = ended({ survival: first.survival, certificate: second.certificate })
    expect(maySpend(own, [record(first.session.sid)], [mixed])).toMatchObject(refuses('another-session'))
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
