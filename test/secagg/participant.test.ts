import { describe, expect, test } from '@jest/globals'
import { parcelFor, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Body, type Parcel, type Said, SUITE_HYBRID, say } from '#aggregation/secagg/messages.ts'
import { abandon, agree, confirm, mask, share, unmask } from '#aggregation/secagg/participant.ts'
import { openSession, openSharing } from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import { eraseState, type Masked, type Shared, type Site } from '#aggregation/secagg/states.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { must, seed } from '#test/aggregation/given.ts'
import {
  advertiseAll,
  advertiseAs,
  type Cohort,
  chanceOf,
  cohortOf,
  DEADLINES,
  expectedBy,
  rosterOf,
  streamOf,
  Vectors,
} from './cohort.ts'
import { dealAll, maskAll, shareOut } from './play.ts'

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

/** A cohort whose keys are out, and a way to list them. */
function dealt(from: Cohort = cohort) {
  const made = dealAll(from)
  const session = must(openSession(made.roster, made.adverts, from.coordinator.id))
  const state = made.states.get(1) as Shared
  const listed = (lies: Partial<Body<'Shared'>> = {}, signer = from.coordinator) =>
    say(signer, 'Shared', { ...sharedOf(session, made.keys), ...lies })
  return { ...made, session, state, listed, parcel: parcelFor(1, made.parcels) }
}

describe('a member refuses U2', () => {
  test('that the coordinator did not sign, or of another session', () => {
    const { state, keys, parcel, listed } = dealt()
    expect(agree(state, listed({}, stranger), keys, parcel)).toMatchObject(refuses('not-the-coordinator'))
    expect(agree(state, listed({ sid: seed(1) }), keys, parcel)).toMatchObject(refuses('another-session'))
  })

  test('that leaves it out, has too few, or is out of order', () => {
    const { state, keys, parcel, listed } = dealt()
    const list = listed().body.list
    expect(agree(state, listed({ list: list.slice(1) }), keys.slice(1), parcel)).toMatchObject(
      refuses('own-keys-missing'),
    )
    expect(agree(state, listed({ list: list.slice(0, 3) }), keys, parcel)).toMatchObject(refuses('too-few-members'))
    expect(agree(state, listed({ list: list.toReversed() }), keys, parcel)).toMatchObject(refuses('list-not-sorted'))
  })

  test('whose shares are not the ones listed, or do not name every other member', () => {
    const { state, keys, parcel, listed, session } = dealt()
    expect(agree(state, listed(), keys.toReversed(), parcel)).toMatchObject(refuses('not-as-listed'))
    const second = keys[1] as Said<'ShareKeys'>
    for (const to of [second.body.to.slice(1), second.body.to.toReversed()]) {
      const odd = keys.with(1, say((cohort.sites[1] as Site).signer, 'ShareKeys', { ...second.body, to }))
      const shared = say(cohort.coordinator, 'Shared', sharedOf(session, odd))
      expect(agree(state, shared, odd, parcel)).toMatchObject(refuses('wrong-recipients'))
    }
    const foreign = keys.with(1, say(stranger, 'ShareKeys', second.body))
    expect(agree(state, say(cohort.coordinator, 'Shared', sharedOf(session, foreign)), foreign, parcel)).toMatchObject(
      refuses('not-the-sender'),
    )
  })

  test('whose boxes are missing or not the ones that were signed: the carrier is at fault, nobody is accused', () => {
    const { state, keys, parcel, listed } = dealt()
    expect(agree(state, listed(), keys, { ...parcel, boxes: parcel.boxes.slice(1) })).toMatchObject(
      refuses('box-missing'),
    )
    const [first, ...rest] = parcel.boxes as [Parcel['boxes'][number], ...Parcel['boxes']]
    const spoiled = { ...parcel, boxes: [{ ...first, box: first.box.toReversed() }, ...rest] }
    expect(agree(state, listed(), keys, spoiled)).toMatchObject(refuses('box-not-as-signed'))
  })

  test('whose mask ciphertexts are missing or not the ones that were signed', () => {
    const hybrid = cohortOf('hybrid U2', 3, { suite: SUITE_HYBRID })
    const { states, keys, parcels, listed } = dealt(hybrid)
    const state = states.get(3) as Shared
    const parcel = parcelFor(3, parcels)
    expect(agree(state, listed(), keys, { ...parcel, maskCts: [] })).toMatchObject(refuses('ciphertext-missing'))
    const maskCts = parcel.maskCts.map((one) => ({ ...one, ct: one.ct.toReversed() }))
    expect(agree(state, listed(), keys, { ...parcel, maskCts })).toMatchObject(refuses('ciphertext-not-as-signed'))
    expect(agree(state, listed(), keys, parcel).ok).toBe(true)
  })

  test('after it agreed to one: there is one set of masks', () => {
    const { state, keys, parcel, listed } = dealt()
    expect(must(agree(state, listed(), keys, parcel)).next.phase).toBe('keyed')
    expect(agree(state, listed(), keys, parcel)).toMatchObject(refuses('keys-used'))
  })

  test('version 2 that is no subset, and a second version 1', () => {
    const { adverts, state, keys, session, listed, parcel } = dealt()
    const lying = keys.with(2, lie(session.sid, keys[2] as Said<'ShareKeys'>))
    const first = say(cohort.coordinator, 'Shared', sharedOf(session, lying))
    const complained = must(agree(state, first, lying, parcel))
    expect(complained.say).toMatchObject([{ kind: 'Complaint', body: { u: 1, v: 3, code: 'share-hash' } }])
    const waiting = complained.next as Shared
    expect(agree(waiting, listed({ list: listed().body.list }), keys, parcel)).toMatchObject(refuses('another-version'))
    expect(agree(waiting, listed({ ver: 2 }), keys, parcel)).toMatchObject(refuses('not-a-subset'))
    const without = keys.toSpliced(2, 1)
    const second = say(cohort.coordinator, 'Shared', { ...sharedOf(session, without), ver: 2 })
    expect(must(agree(waiting, second, without, parcel)).next.phase).toBe('keyed')
    expect(adverts).toHaveLength(5)
  })
})

/** Member 3 promises member 1 another share than it sent. */
function lie(sid: Uint8Array, keys: Said<'ShareKeys'>): Said<'ShareKeys'> {
  const to = keys.body.to.map((entry) => (entry.v === 1 ? { ...entry, hR: seed(5) } : entry))
  return say((cohort.sites[2] as Site).signer, 'ShareKeys', { ...keys.body, sid, to })
}

/** A cohort whose masked inputs are in. */
async function masked(from: Cohort = cohort) {
  const { dealt, shared, keyed } = must(shareOut(from, dealAll(from)))
  const vectors = new Vectors()
  const states = await maskAll(from, keyed, vectors)
  const session = must(openSession(dealt.roster, dealt.adverts, from.coordinator.id))
  const sharing = must(openSharing(session, shared, dealt.keys))
  const inputs = [...states.values()].map(({ input }) => input)
  const listed = (from_: readonly Said<'MaskedInput'>[] = inputs, lies: Partial<Body<'Survivors'>> = {}) =>
    say(from.coordinator, 'Survivors', { ...survivorsOf(sharing, from_), ...lies })
  return { states, state: states.get(1) as Masked, sharing, inputs, listed, keyed, vectors }
}

describe('a member masks once', () => {
  test('and a state that began to mask is spent, also when its store fails', async () => {
    const { keyed } = must(shareOut(cohort, dealAll(cohort)))
    const [first, second] = [keyed.get(1), keyed.get(2)]
    if (!first || !second) throw new Error('all agreed')
    const input = () => streamOf(cohort.inputs[0] as Uint32Array)
    const full = async (): Promise<Cid> => {
      throw new Error('the disk is full')
    }
    await expect(mask(first, input(), full)).rejects.toThrow('the disk is full')
    expect(await mask(first, input(), new Vectors().keep)).toMatchObject(refuses('already-masked'))
    const running = mask(second, input(), new Vectors().keep)
    expect(await mask(second, input(), new Vectors().keep)).toMatchObject(refuses('already-masked'))
    expect((await running).ok).toBe(true)
  })
})

describe('a member refuses U3', () => {
  test('that the coordinator did not sign, of another session, or of another U2', async () => {
    const { state, inputs, listed, sharing } = await masked()
    const foreign = say(stranger, 'Survivors', survivorsOf(sharing, inputs))
    expect(confirm(state, foreign, inputs, UNSPENT)).toMatchObject(refuses('not-the-coordinator'))
    expect(confirm(state, listed(inputs, { sid: seed(1) }), inputs, UNSPENT)).toMatchObject(refuses('another-session'))
    expect(confirm(state, listed(inputs, { u2Hash: seed(1) }), inputs, UNSPENT)).toMatchObject(
      refuses('another-sharing'),
    )
  })

  test('that leaves it out, has too few, or has another input of its own', async () => {
    const { state, inputs, listed } = await masked()
    const rest = inputs.slice(1)
    expect(confirm(state, listed(rest), rest, UNSPENT)).toMatchObject(refuses('own-input-missing'))
    const few = inputs.slice(0, 3)
    expect(confirm(state, listed(few), few, UNSPENT)).toMatchObject(refuses('too-few-members'))
    const twin = say((cohort.sites[0] as Site).signer, 'MaskedInput', {
      ...(inputs[0] as Said<'MaskedInput'>).body,
      sha256: seed(1),
    })
    const swapped = inputs.with(0, twin)
    expect(confirm(state, listed(swapped), swapped, UNSPENT)).toMatchObject(refuses('own-input-missing'))
  })

  test.each([
    ['for another U2', { u2Hash: seed(1) }, 'another-sharing'],
    ['of another session', { sid: seed(1) }, 'another-session'],
    ['of another length', { bytes: 80 }, 'wrong-length'],
    ['of another member', { u: 3 }, 'not-as-listed'],
  ] as const)('with an input %s', async (_, lies, refusal) => {
    const { state, inputs, listed } = await masked()
    const odd = say((cohort.sites[1] as Site).signer, 'MaskedInput', {
      ...(inputs[1] as Said<'MaskedInput'>).body,
      ...lies,
    })
    const list = listed().body.list.map((entry) => (entry.u === 2 ? { u: 2, cid: odd.cid } : entry))
    expect(confirm(state, listed(inputs, { list }), inputs.with(1, odd), UNSPENT)).toMatchObject(refuses(refusal))
  })

  test('with an input that its member did not sign', async () => {
    const { state, inputs, listed } = await masked()
    const forged = inputs.with(1, say(stranger, 'MaskedInput', (inputs[1] as Said<'MaskedInput'>).body))
    expect(confirm(state, listed(forged), forged, UNSPENT)).toMatchObject(refuses('not-the-sender'))
  })

  test('once it signed one: it signs no other, and not the same again', async () => {
    const { state, inputs, listed } = await masked()
    expect(confirm(state, listed(), inputs, UNSPENT).ok).toBe(true)
    const four = inputs.slice(0, 4)
    for (const [list, said] of [[listed(four), four] as const, [listed(), inputs] as const])
      expect(confirm(state, list, said, UNSPENT)).toMatchObject(refuses('already-confirmed'))
  })
})

describe('a member refuses a certificate', () => {
  async function confirmed() {
    const { states, inputs, listed } = await masked()
    const said = [...states.values()].map((state) => must(confirm(state, listed(), inputs, UNSPENT)))
    const sigs = said.map(({ say }) => ({ u: say.body.u, sig: say.signed.signature }))
    const state = (said[0] as (typeof said)[number]).next
    const { sid } = state.survival.sharing.session
    const certified = (lies: Partial<Body<'QuorumCert'>> = {}, signer = cohort.coordinator) =>
      say(signer, 'QuorumCert', { sid, u3Hash: state.survival.hash, sigs, ...lies })
    return { state, sigs, certified }
  }

  test('of another set than it confirmed', async () => {
    const { state, certified } = await confirmed()
    expect(unmask(state, certified({ u3Hash: seed(1) }))).toMatchObject(refuses('another-set'))
    expect(unmask(state, certified({ sid: seed(1) }))).toMatchObject(refuses('another-session'))
    expect(unmask(state, certified({}, stranger))).toMatchObject(refuses('not-the-coordinator'))
  })

  test('with fewer than q signatures, one that comes twice, or one that does not hold', async () => {
    const { state, certified, sigs } = await confirmed()
    expect(unmask(state, certified({ sigs: sigs.slice(0, 3) }))).toMatchObject(refuses('too-few-signatures'))
    const [first, ...rest] = sigs as [(typeof sigs)[number], ...typeof sigs]
    expect(unmask(state, certified({ sigs: [first, first, ...rest.slice(0, 2)] }))).toMatchObject(
      refuses('list-not-sorted'),
    )
    const forged = [{ ...first, sig: rest[0]?.sig ?? first.sig }, ...rest]
    expect(unmask(state, certified({ sigs: forged }))).toMatchObject(refuses('bad-signature'))
    expect(unmask(state, certified({ sigs: [...sigs, { u: 6, sig: first.sig }] }))).toMatchObject(
      refuses('not-a-survivor'),
    )
  })

  test('once it answered one: a repeated request gets nothing from here', async () => {
    const { state, certified } = await confirmed()
    expect(unmask(state, certified()).ok).toBe(true)
    expect(unmask(state, certified())).toMatchObject(refuses('already-unmasked'))
  })

  test('and gives of every other member one share, of one kind', async () => {
    const { state, certified } = await confirmed()
    const { body } = must(unmask(state, certified())).say
    expect(body.bShares.map(({ u }) => u)).toEqual([2, 3, 4, 5])
    expect(body.rootShares).toEqual([])
  })
})

describe('a member that leaves', () => {
  test('has erased everything, says so, and can go on from no state of before', async () => {
    const { state, keys, parcel, listed } = dealt()
    const left = must(abandon(state))
    expect(left.say.body).toMatchObject({ u: 1, confirmed: false })
    expect(agree(state, listed(), keys, parcel)).toMatchObject(refuses('keys-used'))
    expect(abandon(state)).toMatchObject(refuses('already-spent'))
    const later = await masked()
    const { next } = must(confirm(later.state, later.listed(), later.inputs, UNSPENT))
    expect(must(abandon(next)).say.body.confirmed).toBe(true)
    expect(abandon(later.state)).toMatchObject(refuses('already-spent'))
  })

  test('leaves only zeros, in every state', async () => {
    const own = advertiseAs(cohort, 1).next
    const secrets = own.held.look()
    expect(eraseState(own)).toBe(true)
    const all = secrets && [
      secrets.root,
      secrets.maskRoot,
      secrets.self,
      secrets.channel.secretKey,
      secrets.mask.secretKey,
    ]
    expect(all?.every((secret) => secret.every((byte) => byte === 0))).toBe(true)

    const { keyed } = must(shareOut(cohort, dealAll(cohort)))
    const state = keyed.get(2)
    const agreed = state?.held.look()
    if (!state || !agreed) throw new Error('member 2 agreed')
    eraseState(state)
    expect(agreed.masks.every(({ seed }) => seed.every((byte) => byte === 0))).toBe(true)
    expect([...agreed.shares.values()].every(({ root, self }) => [...root, ...self].every((byte) => byte === 0))).toBe(
      true,
    )

    const later = await masked()
    const kept = later.state.held.look()
    const { next } = must(confirm(later.state, later.listed(), later.inputs, UNSPENT))
    eraseState(next)
    expect(kept?.self.every((byte) => byte === 0)).toBe(true)
  })

  test('after masking holds neither root, nor keys, nor mask seeds any more', async () => {
    const { dealt: _, keyed } = must(shareOut(cohort, dealAll(cohort)))
    const state = keyed.get(1)
    const agreed = state?.held.look()
    if (!state || !agreed) throw new Error('member 1 agreed')
    must(await mask(state, streamOf(cohort.inputs[0] as Uint32Array), new Vectors().keep))
    const { root, maskRoot, channel, mask: keys } = agreed.secrets
    const gone = [root, maskRoot, channel.secretKey, keys.secretKey, ...agreed.masks.map(({ seed }) => seed)]
    expect(gone.every((secret) => secret.every((byte) => byte === 0))).toBe(true)
  })
})
