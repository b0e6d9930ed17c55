import { describe, expect, test } from '@jest/globals'
import {
  certificateOf,
  checkParcel,
  checkUnmask,
  judged,
  parcelFor,
  reveal,
  sharedOf,
  survivorsOf,
} from '#aggregation/secagg/aggregator.ts'
import { shareHash } from '#aggregation/secagg/derive.ts'
import { type Body, type Parcel, type Said, SUITE_HYBRID, SUITE_X25519, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, unmask } from '#aggregation/secagg/participant.ts'
import { masksOf } from '#aggregation/secagg/removal.ts'
import { checkAdvert, openSession, openSharing, openSurvival, type Survival } from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Shared, Site } from '#aggregation/secagg/states.ts'
import { sha256 } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import { advertiseAs, type Cohort, cohortOf, Vectors } from './cohort.ts'
import { type Dealt, dealAll, maskAll, shareOut, without } from './play.ts'

const refuses = (refusal: string) => ({ ok: false, refusal })
const signerOf = (cohort: Cohort, u: number) => (cohort.sites[u - 1] as Site).signer

/** A session up to the answers, with some who stop before they mask. */
async function answered(cohort: Cohort, dropouts: readonly number[] = [], dealt: Dealt = dealAll(cohort)) {
  const out = must(shareOut(cohort, dealt))
  const masked = await maskAll(cohort, without(out.keyed, dropouts), new Vectors())
  const session = must(openSession(dealt.roster, dealt.adverts, cohort.coordinator.id))
  const sharing = must(openSharing(session, out.shared, dealt.keys))
  const inputs = [...masked.values()].map(({ input }) => input)
  const survivors = say(cohort.coordinator, 'Survivors', survivorsOf(sharing, inputs))
  const survival = must(openSurvival(sharing, survivors, inputs))
  const confirmed = [...masked.values()].map((state) => must(confirm(state, survivors, inputs, UNSPENT)))
  const confirms = confirmed.map((one) => one.say)
  const certificate = say(cohort.coordinator, 'QuorumCert', must(certificateOf(survival, confirms)))
  const answers = confirmed.map(({ next }) => must(unmask(next, certificate)).say)
  return { cohort, session, sharing, survival, confirms, answers, maskCts: out.maskCts }
}

describe('the coordinator', () => {
  const cohort = cohortOf('carrier', 4, { suite: SUITE_HYBRID })
  const { keys, parcels } = dealAll(cohort)
  const [said, parcel] = [keys[1], parcels[1]] as [Said<'ShareKeys'>, Parcel]
  const [box] = parcel.boxes as [Parcel['boxes'][number]]
  const [ct] = parcel.maskCts as [Parcel['maskCts'][number]]

  test.each([
    ['a box less', { ...parcel, boxes: parcel.boxes.slice(1) }, 'box-missing'],
    ['a ciphertext less', { ...parcel, maskCts: [] }, 'box-missing'],
    [
      'another box',
      { ...parcel, boxes: [{ ...box, box: flip(box.box, 9) }, ...parcel.boxes.slice(1)] },
      'box-not-as-signed',
    ],
    [
      'another KEM ciphertext with a box',
      { ...parcel, boxes: [{ ...box, cKemCt: seedOf(1088) }, ...parcel.boxes.slice(1)] },
      'box-not-as-signed',
    ],
    [
      'another mask ciphertext',
      { ...parcel, maskCts: [{ ...ct, ct: flip(ct.ct, 9) }, ...parcel.maskCts.slice(1)] },
      'ciphertext-not-as-signed',
    ],
    ['a box of another member', { ...parcel, boxes: [{ ...box, u: 3 }, ...parcel.boxes.slice(1)] }, 'not-its-own'],
    [
      'a box of another session',
      { ...parcel, boxes: [{ ...box, sid: seed(1) }, ...parcel.boxes.slice(1)] },
      'not-its-own',
    ],
  ] as const)('carries no parcel with %s', (_, odd, refusal) => {
    expect(checkParcel(said, parcel).ok).toBe(true)
    expect(checkParcel(said, odd)).toMatchObject(refuses(refusal))
  })

  test('asks of every advert what a roster will, so that one bad key does not end a round', () => {
    const terms = { suite: SUITE_HYBRID, task: cohort.task, round: 1, keysDue: 10, weightMax: 1 } as const
    const good = advertiseAs(cohort, 2).say
    expect(checkAdvert(good, terms).ok).toBe(true)
    const lent = say(signerOf(cohort, 3), 'Advert', good.body)
    expect(checkAdvert(lent, terms)).toMatchObject(refuses('wrong-advert'))
    const weak = say(signerOf(cohort, 2), 'Advert', { ...good.body, sPk: new Uint8Array(32) })
    expect(checkAdvert(weak, terms)).toMatchObject(refuses('bad-key'))
    expect(checkAdvert(good, { ...terms, keysDue: 10_001 })).toMatchObject(refuses('advert-expired'))
    expect(checkAdvert(good, { ...terms, round: 2 })).toMatchObject(refuses('advert-of-another-round'))
    expect(checkAdvert(good, { ...terms, suite: SUITE_X25519 })).toMatchObject(refuses('advert-of-another-suite'))
  })

  test('gives each member what is for it alone', () => {
    const own = parcelFor(2, parcels)
    expect(own.boxes.map(({ u, v }) => [u, v])).toEqual([
      [1, 2],
      [3, 2],
      [4, 2],
    ])
    expect(own.maskCts.map(({ u, v }) => [u, v])).toEqual([[1, 2]])
  })

  test('makes no certificate of too few, of another set, or of a signature lent by another', async () => {
    const { survival, confirms } = await answered(cohortOf('certificate', 5))
    expect(must(certificateOf(survival, confirms)).sigs.map(({ u }) => u)).toEqual([1, 2, 3, 4, 5])
    expect(certificateOf(survival, confirms.slice(0, 3))).toMatchObject(refuses('too-few-signatures'))
    const [first, ...rest] = confirms as [Said<'Confirm'>, ...Said<'Confirm'>[]]
    const repeated = [first, first, first, rest[0] as Said<'Confirm'>]
    expect(certificateOf(survival, repeated)).toMatchObject(refuses('too-few-signatures'))
    const odd = say(signerOf(cohortOf('certificate', 5), 2), 'Confirm', { ...first.body, u3Hash: seed(1) })
    expect(certificateOf(survival, [odd, ...confirms.slice(2)])).toMatchObject(refuses('too-few-signatures'))
    const lent = say(signerOf(cohortOf('certificate', 5), 2), 'Confirm', first.body)
    expect(certificateOf(survival, [lent, ...confirms.slice(2)])).toMatchObject(refuses('too-few-signatures'))
  })
})

describe('an answer', () => {
  const cohort = cohortOf('answers', 6)

  test.each([
    ['of another set', { u3Hash: seed(1) }, 'another-set'],
    ['of another session', { sid: seed(1) }, 'another-session'],
    ['of another member', { u: 2 }, 'not-the-sender'],
    ['of nobody', { u: 7 }, 'not-a-member'],
    ['without a share', { bShares: [] }, 'wrong-shares'],
    ['with a share of the other kind', { rootShares: [] }, 'wrong-shares'],
  ] as readonly (readonly [string, Partial<Body<'Unmask'>>, string])[])('%s is refused', async (_, lies, refusal) => {
    const { survival, answers } = await answered(cohort, [4])
    const first = answers[0] as Said<'Unmask'>
    expect(checkUnmask(survival, first).ok).toBe(true)
    const odd = say(signerOf(cohort, 1), 'Unmask', { ...first.body, ...lies })
    expect(checkUnmask(survival, odd)).toMatchObject(refuses(refusal))
  })

  test('with one bit of a share flipped is its holder’s lie, and the holder is named', async () => {
    const { survival, answers } = await answered(cohort, [4])
    const { body } = answers[2] as Said<'Unmask'>
    for (const kind of ['bShares', 'rootShares'] as const) {
      const [share, ...rest] = body[kind] as [Body<'Unmask'>['bShares'][number], ...Body<'Unmask'>['bShares']]
      const flipped = [{ u: share.u, share: flip(share.share, 77) }, ...rest]
      const odd = say(signerOf(cohort, 3), 'Unmask', { ...body, [kind]: flipped })
      const refused = checkUnmask(survival, odd)
      expect(refused).toMatchObject(refuses('share-not-as-dealt'))
      expect(refused).toHaveProperty('detail', expect.stringContaining('member 3'))
    }
  })

  test('of exactly t members, whoever they are, gives the same seeds; of t − 1 a named refusal', async () => {
    const { survival, answers, session } = await answered(cohort, [4])
    const whole = must(reveal(survival, answers).revealed)
    const { t } = session.params
    for (let turn = 0; turn < answers.length; turn++) {
      const turned = [...answers.slice(turn), ...answers.slice(0, turn)]
      // A survivor holds no share of its own seed: whoever is silent needs t others.
      const some = must(reveal(survival, turned.slice(0, t)).revealed)
      expect(hexOf(some.selfSeeds)).toEqual(hexOf(whole.selfSeeds))
      expect(hexOf(some.roots)).toEqual(hexOf(whole.roots))
      expect(reveal(survival, turned.slice(0, t - 1)).revealed).toMatchObject(refuses('too-few-shares'))
    }
  })

  test('with another self seed convicts its member, and the shares of the others make up for it', async () => {
    const { survival, answers } = await answered(cohort)
    const { body } = answers[4] as Said<'Unmask'>
    const lying = answers.with(4, say(signerOf(cohort, 5), 'Unmask', { ...body, self: seed(1) }))
    const { revealed, convicted } = reveal(survival, lying)
    expect(convicted).toEqual([{ u: 5, of: 'self-seed' }])
    expect(hexOf(must(revealed).selfSeeds)).toEqual(hexOf(must(reveal(survival, answers).revealed).selfSeeds))
  })
})

describe('a dealer that lies is convicted, not its holders (R11)', () => {
  /** Member 2 deals sound-looking shares of something else: they match its own hashes, and commitments are not kept. */
  async function withLies(kind: 'root' | 'self', dropouts: readonly number[]) {
    const cohort = cohortOf(`dealer ${kind}`, 6)
    const { survival, answers, session } = await answered(cohort, dropouts)
    const forged = (share: Bytes, holder: number) => sha256(Uint8Array.of(...share, holder))
    const keys = new Map(survival.sharing.keys)
    const own = keys.get(2) as Said<'ShareKeys'>
    const list = kind === 'root' ? 'rootShares' : 'bShares'
    const lied = answers
      .filter(({ body }) => body.u !== 2)
      .map(({ body }) => {
        const shares = body[list].map((entry) => (entry.u === 2 ? { u: 2, share: forged(entry.share, body.u) } : entry))
        return say(signerOf(cohort, body.u), 'Unmask', { ...body, [list]: shares })
      })
    const to = own.body.to.map((entry) => {
      const answer = lied.find(({ body }) => body.u === entry.v)?.body[list].find(({ u }) => u === 2)
      if (!answer) return entry
      return { ...entry, [kind === 'root' ? 'hR' : 'hS']: shareHash(kind, session.sid, 2, entry.v, answer.share) }
    })
    keys.set(2, say(signerOf(cohort, 2), 'ShareKeys', { ...own.body, to }))
    const lyingSurvival: Survival = { ...survival, sharing: { ...survival.sharing, keys } }
    for (const answer of lied) must(checkUnmask(lyingSurvival, answer))
    return reveal(lyingSurvival, lied)
  }

  test.each([
    ['self', []],
    ['root', [2]],
  ] as const)('about its %s secret', async (kind, dropouts) => {
    const { revealed, convicted } = await withLies(kind, dropouts)
    expect(revealed).toMatchObject(refuses('dealer-convicted'))
    expect(convicted).toEqual([{ u: 2, of: 'dealing' }])
  })

  test('about a mask ciphertext, once it is gone (R13)', async () => {
    const cohort = cohortOf('ciphertext', 4, { suite: SUITE_HYBRID })
    const { survival, answers, maskCts } = await answered(cohort, [1])
    const revealed = must(reveal(survival, answers).revealed)
    expect(masksOf(survival, revealed, maskCts)).toMatchObject({ masks: { ok: true }, convicted: [] })
    const keys = new Map(survival.sharing.keys)
    const own = keys.get(1) as Said<'ShareKeys'>
    const to = own.body.to.map((entry) => (entry.v === 3 ? { ...entry, hM: seed(1) } : entry))
    keys.set(1, say(signerOf(cohort, 1), 'ShareKeys', { ...own.body, to }))
    const lying: Survival = { ...survival, sharing: { ...survival.sharing, keys } }
    expect(masksOf(lying, revealed, maskCts)).toMatchObject({
      masks: refuses('dealer-convicted'),
      convicted: [{ u: 1, of: 'mask-ciphertext' }],
    })
  })

  test('and a survivor’s ciphertext that is missing or another is the record’s fault', async () => {
    const cohort = cohortOf('ciphertext', 4, { suite: SUITE_HYBRID })
    const { survival, answers, maskCts } = await answered(cohort, [4])
    const revealed = must(reveal(survival, answers).revealed)
    expect(masksOf(survival, revealed, []).masks).toMatchObject(refuses('ciphertext-missing'))
    const spoiled = maskCts.map((one) => ({ ...one, ct: flip(one.ct, 3) }))
    expect(masksOf(survival, revealed, spoiled).masks).toMatchObject(refuses('ciphertext-not-as-signed'))
  })
})

describe('complaints', () => {
  const cohort = cohortOf('complaints', 7)
  const dealt = dealAll(cohort)
  const session = must(openSession(dealt.roster, dealt.adverts, cohort.coordinator.id))
  const shared = say(cohort.coordinator, 'Shared', sharedOf(session, dealt.keys))
  const sharing = must(openSharing(session, shared, dealt.keys))
  const about = (u: number, v: number, lies: Partial<Body<'Complaint'>> = {}) =>
    say(signerOf(cohort, u), 'Complaint', {
      sid: session.sid,
      u,
      v,
      cid: (dealt.keys[v - 1] as Said<'ShareKeys'>).cid,
      code: 'box',
      ...lies,
    })
  const left = (...complaints: readonly Said<'Complaint'>[]) => judged(sharing, complaints).list.map(({ u }) => u)

  test('by more than C leave the accused out; by fewer, the accusers', () => {
    expect(left()).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(left(about(1, 4))).toEqual([2, 3, 4, 5, 6, 7])
    expect(left(about(1, 4), about(2, 4))).toEqual([1, 2, 3, 5, 6, 7])
    expect(left(about(1, 4), about(1, 4))).toEqual([2, 3, 4, 5, 6, 7])
  })

  test('of other shares, of another session, of oneself, or signed by another do not count', () => {
    const odd = [about(1, 4, { cid: shared.cid }), about(1, 4, { sid: seed(1) }), about(4, 4)]
    const lent = say(signerOf(cohort, 3), 'Complaint', about(1, 4).body)
    expect(left(...odd, lent, about(2, 4))).toEqual([1, 3, 4, 5, 6, 7])
  })

  test('come for a box that does not open and for one that holds other shares, and version 2 goes on without the liar', () => {
    const lying = { ...session, sid: session.sid }
    const third = dealt.keys[2] as Said<'ShareKeys'>
    const keys = dealt.keys.with(
      2,
      say(signerOf(cohort, 3), 'ShareKeys', {
        ...third.body,
        to: third.body.to.map((entry) => (entry.v < 3 ? { ...entry, hS: seed(2) } : entry)),
      }),
    )
    const first = say(cohort.coordinator, 'Shared', sharedOf(lying, keys))
    const honest = [...without(dealt.states, [3])]
    const complaints = honest.flatMap(([u, state]) => must(agree(state, first, keys, parcelFor(u, dealt.parcels))).say)
    expect(complaints.map(({ body }) => [body.u, body.v, body.code])).toEqual([
      [1, 3, 'share-hash'],
      [2, 3, 'share-hash'],
    ])
    const opened = must(openSharing(session, first, keys))
    const second = say(cohort.coordinator, 'Shared', judged(opened, complaints))
    expect(second.body).toMatchObject({ ver: 2, list: [1, 2, 4, 5, 6, 7].map((u) => ({ u })) })
    const others = keys.toSpliced(2, 1)
    for (const u of [1, 2])
      expect(must(agree(dealt.states.get(u) as Shared, second, others, parcelFor(u, dealt.parcels))).next.phase).toBe(
        'keyed',
      )
  })
})

function hexOf(seeds: ReadonlyMap<number, Bytes>) {
  return [...seeds].toSorted(([a], [b]) => a - b).map(([u, bytes]) => [u, toHex(bytes)])
}

function seedOf(length: number): Bytes {
  return new Uint8Array(length).fill(5)
}
