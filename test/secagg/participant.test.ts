import { describe, expect, test } from '@jest/globals'
import { parcelFor, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Body, type Parcel, type Said, SUITE_HYBRID, SUITE_X25519, say } from '#aggregation/secagg/messages.ts'
import { abandon, agree, confirm, mask, narrow, unmask } from '#aggregation/secagg/participant.ts'
import { openSession, openSharing } from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import { eraseState, type Masked, type Shared, type Site } from '#aggregation/secagg/states.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { advertiseAs, type Cohort, cohortOf, streamOf, Vectors } from './cohort.ts'
import { dealAll, maskAll, shareOut } from './play.ts'

const cohort = cohortOf('participant', 5)
const stranger = signerOf(seed(99))
const refuses = (refusal: string) => ({ ok: false, refusal })

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

describe('a member that agreed to version 1 when another complained', () => {
  function agreed() {
    const made = dealt()
    const { state, keys, parcel, listed } = made
    const { next } = must(agree(state, listed(), keys, parcel))
    if (next.phase !== 'keyed') throw new Error('nothing to complain of')
    const list = listed().body.list
    const without = keys.toSpliced(2, 1)
    return { ...made, next, without, second: listed({ ver: 2, list: list.toSpliced(2, 1) }) }
  }

  test('goes on with version 2, and forgets who was left out', () => {
    const { next, without, second } = agreed()
    const before = next.held.look()
    const narrowed = must(narrow(next, second, without)).next
    expect([...(narrowed.held.look()?.masks.keys() ?? [])].toSorted()).toEqual([1, 2, 4, 5])
    expect([...(narrowed.held.look()?.shares.keys() ?? [])]).toEqual([2, 4, 5])
    expect(before?.masks.get(3)?.seed.every((byte) => byte === 0)).toBe(true)
    expect(before?.shares.get(3)?.root.every((byte) => byte === 0)).toBe(true)
    expect(narrow(next, second, without)).toMatchObject(refuses('already-masked'))
  })

  test('refuses a version 2 without itself, a wider one, a third, and any once it masked', async () => {
    const { next, keys, without, second, listed } = agreed()
    const list = listed().body.list
    const alone = listed({ ver: 2, list: list.slice(1) })
    expect(narrow(next, alone, keys.slice(1))).toMatchObject(refuses('own-keys-missing'))
    const again = listed({ list: list.toSpliced(2, 1) })
    expect(narrow(next, again, without)).toMatchObject(refuses('another-version'))
    const narrowed = must(narrow(next, second, without)).next
    expect(narrow(narrowed, listed({ ver: 2 }), keys)).toMatchObject(refuses('another-version'))
    const widened = dealt()
    const four = widened.keys.toSpliced(1, 1)
    const first = say(cohort.coordinator, 'Shared', sharedOf(widened.session, four))
    const parcel = { ...widened.parcel, boxes: widened.parcel.boxes.filter(({ u }) => u !== 2) }
    const few = must(agree(widened.state, first, four, parcel)).next
    if (few.phase !== 'keyed') throw new Error('nothing to complain of')
    expect(narrow(few, widened.listed({ ver: 2 }), widened.keys)).toMatchObject(refuses('not-a-subset'))
    must(await mask(narrowed, streamOf(cohort.inputs[0] as Uint32Array), new Vectors().keep))
    expect(narrow(narrowed, second, without)).toMatchObject(refuses('already-masked'))
  })
})

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
    expect([...agreed.masks.values()].every(({ seed }) => seed.every((byte) => byte === 0))).toBe(true)
    expect([...agreed.shares.values()].every(({ root, self }) => [...root, ...self].every((byte) => byte === 0))).toBe(
      true,
    )

    const later = await masked()
    const kept = later.state.held.look()
    const { next } = must(confirm(later.state, later.listed(), later.inputs, UNSPENT))
    eraseState(next)
    expect(kept?.self.every((byte) => byte === 0)).toBe(true)
  })

  test.each([SUITE_X25519, SUITE_HYBRID] as const)(
    'after masking holds neither root, nor keys, nor mask seeds any more, in suite %i',
    async (suite) => {
      const cohort = cohortOf('erased', 5, { suite })
      const { dealt: _, keyed } = must(shareOut(cohort, dealAll(cohort)))
      const state = keyed.get(1)
      const agreed = state?.held.look()
      if (!state || !agreed) throw new Error('member 1 agreed')
      must(await mask(state, streamOf(cohort.inputs[0] as Uint32Array), new Vectors().keep))
      const { root, maskRoot, channel, mask: keys, toHigher } = agreed.secrets
      const sent = [...(toHigher?.values() ?? [])].map(({ shared }) => shared)
      expect(sent).toHaveLength(cohort.suite === SUITE_HYBRID ? cohort.sites.length - 1 : 0)
      const gone = [
        ...sent,
        root,
        maskRoot,
        channel.secretKey,
        keys.secretKey,
        ...[...agreed.masks.values()].map(({ seed }) => seed),
      ]
      expect(gone.every((secret) => secret.every((byte) => byte === 0))).toBe(true)
    },
  )
})
