import { describe, expect, test } from '@jest/globals'
import { certificateOf, judged, parcelFor, reveal, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { equivocation, isProven } from '#aggregation/secagg/equivocation.ts'
import { openMasker, opposite } from '#aggregation/secagg/mask.ts'
import { hear, type Said, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, mask, share, unmask } from '#aggregation/secagg/participant.ts'
import { openSession, openSharing, openSurvival } from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Masked, Site } from '#aggregation/secagg/states.ts'
import { decodeLanes, encodeLanes } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { frameOf, open } from '#protocol/envelope.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import {
  advertiseAll,
  advertiseAs,
  type Cohort,
  chanceOf,
  cohortOf,
  expectedBy,
  rosterOf,
  streamOf,
  Vectors,
} from './cohort.ts'
import { dealAll, maskAll, shareOut } from './play.ts'

const cohort = cohortOf('attacked', 6)
const refuses = (refusal: string) => ({ ok: false, refusal })

/** As it crosses the wire: a third party gets bytes, not our objects. */
function overTheWire<K extends Parameters<typeof hear>[0]>(said: Said<K>): Said<K> {
  return must(hear(said.kind, must(open(frameOf(said.signed), FRAME_BYTES_MAX))))
}

/** All inputs of a cohort, masked for one U2. */
async function masked(from: Cohort) {
  const out = must(shareOut(from, dealAll(from)))
  const vectors = new Vectors()
  const states = await maskAll(from, out.keyed, vectors)
  const session = must(openSession(out.dealt.roster, out.dealt.adverts, from.coordinator.id))
  const sharing = must(openSharing(session, out.shared, out.dealt.keys))
  const inputs = [...states.values()].map(({ input }) => input)
  const listed = (members: readonly number[]) => {
    const some = inputs.filter(({ body }) => members.includes(body.u))
    return { some, said: say(from.coordinator, 'Survivors', survivorsOf(sharing, some)) }
  }
  /** These members confirm, and the coordinator certifies it. */
  const certified = (members: readonly number[]) => {
    const { some, said } = listed(members)
    const confirmed = some.map(({ body }) => must(confirm(states.get(body.u) as Masked, said, some, UNSPENT)))
    const survival = must(openSurvival(sharing, said, some))
    const signatures = confirmed.map(({ say }) => say)
    const certificate = say(from.coordinator, 'QuorumCert', must(certificateOf(survival, signatures)))
    return { survival, confirmed, certificate }
  }
  return { ...out, vectors, states, sharing, inputs, listed, certified }
}

describe('a coordinator that shows different members different survivors', () => {
  const [one, two] = [
    [1, 2, 3, 4, 5],
    [1, 2, 3, 4, 6],
  ] as const

  test('gets no two certificates, opens nothing of either set, and is proven a liar by what it signed', async () => {
    const { states, sharing, listed } = await masked(cohort)
    const [first, second] = [listed(one), listed(two)]
    const signed = { first: [] as Said<'Confirm'>[], second: [] as Said<'Confirm'>[] }
    for (const [u, state] of states) {
      const [shown, kept] = u <= 3 || u === 5 ? ([first, signed.first] as const) : ([second, signed.second] as const)
      kept.push(must(confirm(state, shown.said, shown.some, UNSPENT)).say)
      const other = shown === first ? second : first
      expect(confirm(state, other.said, other.some, UNSPENT).ok).toBe(false)
    }
    const survival = [first, second].map(({ some, said }) => must(openSurvival(sharing, said, some)))
    // One member is corrupt and signs both; that is not enough for a second certificate.
    const corrupt = say((cohort.sites[0] as Site).signer, 'Confirm', {
      sid: sharing.session.sid,
      u: 1,
      u3Hash: second.said.hash,
    })
    expect(certificateOf(survival[0] as (typeof survival)[number], signed.first).ok).toBe(true)
    expect(certificateOf(survival[1] as (typeof survival)[number], [...signed.second, corrupt])).toMatchObject(
      refuses('too-few-signatures'),
    )
    const proof = equivocation(first.said, second.said)
    expect(proof).toMatchObject({ by: cohort.coordinator.id, lie: 'two-Survivors' })
    expect(proof && isProven(proof)).toBe(true)
    const member = equivocation(signed.first[0] as Said<'Confirm'>, corrupt)
    expect(member).toMatchObject({ by: (cohort.sites[0] as Site).signer.id, lie: 'two-Confirm' })
  })

  test('or different U2s: no list mixes them, and the two lists prove it', async () => {
    const dealt = dealAll(cohort)
    const session = must(openSession(dealt.roster, dealt.adverts, cohort.coordinator.id))
    const lists = [dealt.keys, dealt.keys.slice(0, 5)].map((keys) => ({
      keys,
      said: say(cohort.coordinator, 'Shared', sharedOf(session, keys)),
    }))
    const vectors = new Vectors()
    const states: Masked[] = []
    for (const [u, state] of dealt.states) {
      const shown = lists[u % 2 === 0 || u === 6 ? 0 : 1] as (typeof lists)[number]
      const { next } = must(agree(state, shown.said, shown.keys, parcelFor(u, dealt.parcels)))
      if (next.phase !== 'keyed') throw new Error('nothing to complain of')
      states.push(must(await mask(next, streamOf(cohort.inputs[u - 1] as Uint32Array), vectors.keep)).next)
    }
    const inputs = states.map(({ input }) => input)
    const said = say(cohort.coordinator, 'Survivors', survivorsOf((states[0] as Masked).sharing, inputs))
    for (const state of states) expect(confirm(state, said, inputs, UNSPENT).ok).toBe(false)
    const proof = equivocation((lists[0] as (typeof lists)[number]).said, (lists[1] as (typeof lists)[number]).said)
    expect(proof).toMatchObject({ lie: 'two-Shared' })
  })
})

describe('a coordinator that tries one advert in two rosters', () => {
  test('meets a member that deals for the first alone, and is proven a liar', () => {
    const own = advertiseAs(cohort, 2).next
    const adverts = advertiseAll(cohort).map(({ advert }) => advert)
    const rosters = [rosterOf(cohort, adverts), rosterOf(cohort, adverts.slice(0, 5))]
    const [first, second] = rosters as [Said<'Roster'>, Said<'Roster'>]
    expect(share(own, first, adverts, expectedBy(cohort), chanceOf(cohort, 2)).ok).toBe(true)
    expect(share(own, second, adverts.slice(0, 5), expectedBy(cohort), chanceOf(cohort, 2))).toMatchObject(
      refuses('advert-used'),
    )
    expect(equivocation(first, second)).toMatchObject({ lie: 'advert-in-two-rosters' })
    const fresh = advertiseAll(cohort, 3).map(({ advert }) => advert)
    expect(equivocation(first, rosterOf(cohort, fresh))).toBeUndefined()
  })
})

describe('a coordinator that gives different members different rosters, or models', () => {
  test('has two sessions, neither of which has enough shares', () => {
    const adverts = advertiseAll(cohort).map(({ advert }) => advert)
    const other = cohortOf('another model', 3).model
    const rosters = [rosterOf(cohort, adverts), rosterOf(cohort, adverts, { modelCid: other })] as const
    const dealt = adverts.map((_, index) => {
      const [roster, model] = index % 2 === 0 ? [rosters[0], cohort.model] : [rosters[1], other]
      return must(
        share(
          advertiseAs(cohort, index + 1).next,
          roster,
          adverts,
          { ...expectedBy(cohort), model },
          chanceOf(cohort, index + 1),
        ),
      )
    })
    const keys = dealt.map(({ say }) => say.keys)
    for (const { next } of dealt) {
      const mixed = say(cohort.coordinator, 'Shared', sharedOf(next.session, keys))
      const parcel = parcelFor(
        next.u,
        dealt.map(({ say }) => say.parcel),
      )
      expect(agree(next, mixed, keys, parcel)).toMatchObject(refuses('another-session'))
      const alike = keys.filter(({ body }) => toHex(body.sid) === toHex(next.session.sid))
      const few = say(cohort.coordinator, 'Shared', sharedOf(next.session, alike))
      expect(agree(next, few, alike, parcel)).toMatchObject(refuses('too-few-members'))
    }
    expect(equivocation(...rosters)).toMatchObject({ lie: 'advert-in-two-rosters' })
  })
})

describe('a coordinator that asks for more than the rules give', () => {
  test('gets of every other member one share of one kind, whatever the survivors', async () => {
    const all = [1, 2, 3, 4, 5, 6]
    for (const gone of [[], [2], [6], [3, 5]]) {
      const { certified } = await masked(cohort)
      const { confirmed, certificate } = certified(all.filter((u) => !gone.includes(u)))
      for (const { next } of confirmed) {
        const { body } = must(unmask(next, certificate)).say
        const [alive, dead] = [body.bShares.map(({ u }) => u), body.rootShares.map(({ u }) => u)]
        expect([...alive, body.u, ...dead].toSorted()).toEqual(all)
        expect(dead).toEqual(gone)
        for (let again = 0; again < 3; again++)
          expect(unmask(next, certificate)).toMatchObject(refuses('already-unmasked'))
      }
    }
  })

  test('cannot open a late input: without the pairwise masks it is still a one-time pad', async () => {
    const { states, certified, inputs, vectors, keyed } = await masked(cohort)
    const { survival, confirmed, certificate } = certified([1, 2, 3, 4, 5])
    const answers = confirmed.map(({ next }) => must(unmask(next, certificate)).say)
    const revealed = must(reveal(survival, answers).revealed)
    expect([...revealed.roots.keys()]).toEqual([6])
    expect(revealed.selfSeeds.has(6)).toBe(false)
    // No answer holds a share of the late member's own seed, and no state any share at all.
    expect(answers.every(({ body }) => body.bShares.every(({ u }) => u !== 6))).toBe(true)
    expect([...states.values()].filter(({ u }) => u !== 6).every(({ held }) => held.look() === undefined)).toBe(true)
    const late = inputs.find(({ body }) => body.u === 6) as Said<'MaskedInput'>
    const twin = must(shareOut(cohort, dealAll(cohort)))
      .keyed.get(6)
      ?.held.look()
    if (!twin || !keyed.get(6)) throw new Error('the same member, in the same world')
    const residue = Uint32Array.from(decodeLanes(vectors.of(late.body)))
    const pairs = [...twin.masks].filter(([v]) => v !== 6).map(([, one]) => one)
    openMasker(residue.length).add(residue, opposite(pairs), 0)
    const plain = cohort.inputs[5] as Uint32Array
    expect(residue.filter((lane, index) => lane === plain[index])).toHaveLength(0)
    const own = twin.masks.get(6)
    if (own) openMasker(residue.length).add(residue, opposite([own]), 0)
    expect(toHex(encodeLanes(residue))).toBe(toHex(encodeLanes(plain)))
  })

  test('and all but two of its members learn the sum of those two, and nothing more', async () => {
    const { inputs, vectors } = await masked(cohort)
    const twins = must(shareOut(cohort, dealAll(cohort))).keyed
    const left = [1, 2].map((u) => {
      const known = twins.get(u)?.held.look()
      if (!known) throw new Error('the same member, in the same world')
      const lanes = Uint32Array.from(decodeLanes(vectors.of((inputs[u - 1] as Said<'MaskedInput'>).body)))
      const stripped = [...known.masks].filter(([v]) => v === u || v > 2).map(([, one]) => one)
      openMasker(lanes.length).add(lanes, opposite(stripped), 0)
      return { lanes, plain: cohort.inputs[u - 1] as Uint32Array }
    })
    const [first, second] = left as [(typeof left)[number], (typeof left)[number]]
    // What is left of each is its input plus or minus one and the same pad: any other two inputs of that sum fit as well.
    const pads = [first, second].map(({ lanes, plain }) => lanes.map((lane, index) => lane - (plain[index] as number)))
    expect(pads[0]).toEqual((pads[1] as Uint32Array).map((lane) => -lane))
    expect(pads[0]?.every((lane) => lane !== 0)).toBe(true)
    expect(first.lanes.map((lane, index) => lane + (second.lanes[index] as number))).toEqual(
      first.plain.map((lane, index) => lane + (second.plain[index] as number)),
    )
  })
})

describe('a proof of equivocation', () => {
  const adverts = advertiseAll(cohort).map(({ advert }) => advert)
  const [first, second] = [rosterOf(cohort, adverts), rosterOf(cohort, adverts, { attempt: 2 })]
  const proof = equivocation(first, second)
  if (!proof) throw new Error('two rosters with one advert')

  test('holds for a third party that has only the bytes', () => {
    const again = equivocation(overTheWire(first), overTheWire(second))
    expect(again && isProven(again)).toBe(true)
  })

  test('is not made of one message said twice, of two senders, or of two sessions', async () => {
    expect(equivocation(first, overTheWire(first))).toBeUndefined()
    const framed = rosterOf(cohort, adverts, {}, (cohort.sites[1] as Site).signer)
    expect(equivocation(first, framed)).toBeUndefined()
    const { listed } = await masked(cohort)
    const { listed: later } = await masked(cohortOf('attacked', 6, { parameters: 6 }))
    expect(equivocation(listed([1, 2, 3, 4]).said, later([1, 2, 3, 4, 5]).said)).toBeUndefined()
  })

  test('does not hold with a forged signature, another accused, another lie, or the same words twice', () => {
    const forged = { ...proof.second, signature: flip(proof.second.signature, 5) }
    expect(isProven({ ...proof, second: forged })).toBe(false)
    expect(isProven({ ...proof, by: (cohort.sites[0] as Site).signer.id })).toBe(false)
    expect(isProven({ ...proof, lie: 'two-Survivors' })).toBe(false)
    expect(isProven({ ...proof, second: proof.first })).toBe(false)
  })

  test('does not come from honest work: version 2 of U2, or a certificate with more signatures', async () => {
    const { sharing, states, listed, shared } = await masked(cohort)
    const second = say(cohort.coordinator, 'Shared', judged(sharing, []))
    expect(equivocation(shared, second)).toBeUndefined()
    const { some, said } = listed([1, 2, 3, 4, 5, 6])
    const confirms = some.map(({ body }) => must(confirm(states.get(body.u) as Masked, said, some, UNSPENT)).say)
    const survival = must(openSurvival(sharing, said, some))
    const [few, all] = [confirms.slice(0, 4), confirms].map((some) =>
      say(cohort.coordinator, 'QuorumCert', must(certificateOf(survival, some))),
    ) as [Said<'QuorumCert'>, Said<'QuorumCert'>]
    expect(equivocation(few, all)).toBeUndefined()
    const another = say(cohort.coordinator, 'QuorumCert', { ...all.body, u3Hash: seed(1) })
    expect(equivocation(all, another)).toMatchObject({ lie: 'two-QuorumCert' })
  })
})
