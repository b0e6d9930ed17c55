import { describe, expect, test } from '@jest/globals'
import { type Said, SUITE_HYBRID, say } from '#aggregation/secagg/messages.ts'
import { share } from '#aggregation/secagg/participant.ts'
import type { Site } from '#aggregation/secagg/states.ts'
import { signerOf } from '#protocol/envelope.ts'
import { seed } from '#test/aggregation/given.ts'
import { advertiseAll, advertiseAs, chanceOf, cohortOf, DEADLINES, expectedBy, rosterOf } from './cohort.ts'

const cohort = cohortOf('participant', 5)
const stranger = signerOf(seed(99))
const other = cohortOf('another task', 5)

/** Member 1's answer to a roster that lies. */
function answerTo(
  lies: Parameters<typeof rosterOf>[2],
  {
    adverts = advertiseAll(cohort).map(({ advert }) => advert),
    signer = cohort.coordinator,
    now = 0,
    site = {} as Partial<Site>,
  } = {},
) {
  const own = advertiseAs(cohort, 1).next
  const roster = rosterOf(cohort, adverts, lies, signer)
  return share(
    { ...own, site: { ...own.site, ...site } },
    roster,
    adverts,
    { ...expectedBy(cohort), now },
    chanceOf(cohort, 1, 9),
  )
}

const refuses = (refusal: string) => ({ ok: false, refusal })

describe('a member refuses a roster', () => {
  const adverts = advertiseAll(cohort).map(({ advert }) => advert)

  test('and takes the honest one', () => {
    expect(answerTo({}).ok).toBe(true)
  })

  test('that the pinned coordinator did not sign', () => {
    expect(answerTo({}, { signer: stranger })).toMatchObject(refuses('not-the-coordinator'))
  })

  test('without its own advert', () => {
    const replaced = [advertiseAs(cohort, 1, 5).say, ...adverts.slice(1)]
    expect(answerTo({}, { adverts: replaced })).toMatchObject(refuses('own-advert-missing'))
    const four = adverts.slice(1)
    const own = advertiseAs(cohort, 1).next
    expect(share(own, rosterOf(cohort, four), four, expectedBy(cohort), chanceOf(cohort, 1))).toMatchObject(
      refuses('own-advert-missing'),
    )
  })

  test('that names a member twice, or out of order', () => {
    const members = adverts.map(({ from, cid }) => ({ id: from, advert: cid }))
    const twice = [...members.slice(0, 4), members[3] as (typeof members)[number]]
    expect(answerTo({ members: twice })).toMatchObject(refuses('members-not-sorted'))
    expect(answerTo({ members: members.toReversed() })).toMatchObject(refuses('members-not-sorted'))
  })

  test('with a stranger to its allow-list: Sybils cannot surround it', () => {
    const allowed = new Set(cohort.sites.slice(0, 4).map(({ signer }) => signer.id))
    expect(answerTo({}, { site: { allowed } })).toMatchObject(refuses('not-allowed'))
    expect(answerTo({}, { site: { allowed: 'open' } }).ok).toBe(true)
  })

  test('with a key that its member did not sign', () => {
    const forged = say(stranger, 'Advert', (adverts[2] as Said<'Advert'>).body)
    const swapped = adverts.with(2, forged)
    const members = swapped.map(({ body, cid }) => ({ id: body.id, advert: cid }))
    expect(answerTo({ members }, { adverts: swapped })).toMatchObject(refuses('wrong-advert'))
  })

  test('whose adverts are not the ones it names', () => {
    expect(answerTo({}, { adverts: adverts.toReversed() })).toMatchObject(refuses('wrong-advert'))
    const own = advertiseAs(cohort, 1).next
    const few = adverts.slice(0, 4)
    expect(share(own, rosterOf(cohort, adverts), few, expectedBy(cohort), chanceOf(cohort, 1))).toMatchObject(
      refuses('wrong-advert'),
    )
  })

  test.each([
    ['of another task', { task: other.task }, 'advert-of-another-round'],
    ['of another round', { round: 2 }, 'advert-of-another-round'],
    ['of another suite', { suite: SUITE_HYBRID }, 'advert-of-another-suite'],
    ['that expires before keys are due', { expiresAt: DEADLINES[0] - 1 }, 'advert-expired'],
    ['with a weight above the largest', { weight: 2 }, 'wrong-weight'],
  ] as const)('with an advert %s', (_, about, refusal) => {
    const replayed = adverts.with(3, advertiseAs(cohort, 4, 7, about).say)
    expect(answerTo({}, { adverts: replayed })).toMatchObject(refuses(refusal))
  })

  test.each([
    ['a channel key of small order', { cPk: new Uint8Array(32) }],
    ['a mask key of small order', { sPk: Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 1 : 0)) }],
  ] as const)('with %s', (_, key) => {
    const { signer } = cohort.sites[1] as Site
    const weak = adverts.with(1, say(signer, 'Advert', { ...(adverts[1] as Said<'Advert'>).body, ...key }))
    expect(answerTo({}, { adverts: weak })).toMatchObject(refuses('bad-key'))
  })

  test('with a key that is no ML-KEM key', () => {
    const hybrid = cohortOf('hybrid', 3, { suite: SUITE_HYBRID })
    const all = advertiseAll(hybrid)
    const { signer } = hybrid.sites[1] as Site
    for (const name of ['cKemPk', 'sKemPk'] as const) {
      const weak = say(signer, 'Advert', {
        ...(all[1] as (typeof all)[number]).advert.body,
        [name]: new Uint8Array(1184).fill(0xff),
      })
      const adverts = all.map(({ advert }) => advert).with(1, weak)
      const own = advertiseAs(hybrid, 1).next
      const answer = share(own, rosterOf(hybrid, adverts), adverts, expectedBy(hybrid), chanceOf(hybrid, 1))
      expect(answer).toMatchObject(refuses('bad-key'))
    }
  })

  test.each([
    ['of another task', { task: other.task }, 'advert-of-another-round'],
    ['of another round', { round: 2 }, 'advert-of-another-round'],
    ['for another model than it worked out', { modelCid: other.model }, 'wrong-model'],
    ['under another plan', { specCid: other.spec }, 'wrong-plan'],
    ['with another vector length', { params: { d: 6 } }, 'wrong-vector'],
    ['with a coarser quantiser', { params: { quantiser: { ...cohort.quantiser, bits: 1 } } }, 'wrong-vector'],
    ['with another range', { params: { quantiser: { ...cohort.quantiser, rangeMicro: 1 } } }, 'wrong-vector'],
    ['with weights to be varied', { params: { quantiser: { ...cohort.quantiser, weightMax: 2 } } }, 'wrong-vector'],
    ['with deadlines out of order', { deadlines: [1, 3, 2, 4] }, 'deadlines-not-sorted'],
    ['with C = 1 where its population may hold 2', {}, 'too-few-corrupt'],
    ['with a quorum that is too low', { params: { q: 3 } }, 'wrong-quorum'],
    ['with a threshold that C would reach', { params: { t: 1 } }, 'wrong-threshold'],
    ['with noise', { params: { s2: 4 } }, 'noise-not-offered'],
  ] as readonly (readonly [string, Parameters<typeof rosterOf>[2], string])[])('%s', (name, lies, refusal) => {
    const site = name.includes('may hold 2') ? { maxCorrupt: 2 } : {}
    expect(answerTo(lies, { site })).toMatchObject(refuses(refusal))
  })

  test('of fewer members than its policy wants', () => {
    expect(answerTo({}, { site: { nMin: 6 } })).toMatchObject(refuses('too-few-members'))
  })

  test('that would publish what its policy keeps', () => {
    expect(answerTo({}, { site: { publish: ['commit-only'] } })).toMatchObject(refuses('publication-not-allowed'))
  })

  test('that comes too late', () => {
    expect(answerTo({}, { now: DEADLINES[0] })).toMatchObject(refuses('too-late'))
  })

  test('after its advert went into another, and after one that it refused takes the honest one', () => {
    const own = advertiseAs(cohort, 1).next
    const bad = rosterOf(cohort, adverts, { params: { q: 3 } })
    expect(share(own, bad, adverts, expectedBy(cohort), chanceOf(cohort, 1)).ok).toBe(false)
    expect(share(own, rosterOf(cohort, adverts), adverts, expectedBy(cohort), chanceOf(cohort, 1)).ok).toBe(true)
    const retry = rosterOf(cohort, adverts, { attempt: 2 })
    for (const roster of [retry, rosterOf(cohort, adverts)])
      expect(share(own, roster, adverts, expectedBy(cohort), chanceOf(cohort, 1))).toMatchObject(refuses('advert-used'))
  })
})
