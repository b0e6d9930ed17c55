import { assert } from '#protocol/assert.ts'
import { copyOf, equalBytes } from '#protocol/bytes.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, Round } from '#protocol/ids.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { vectorBytesOf } from '../vector.ts'
import { openMasks, openParcel, type ParcelRefusal, sealAll } from './agreement.ts'
import { erase, secretsOf, selfCommitment } from './derive.ts'
import { maskInto } from './masking.ts'
import { type Parcel, type Said, type Suite, say } from './messages.ts'
import { checkPolicy, type ParameterRefusal } from './parameters.ts'
import {
  type CertificateRefusal,
  checkCertificate,
  openSession,
  openSharing,
  openSurvival,
  type Session,
  type SessionRefusal,
  type SharingRefusal,
  type SurvivalRefusal,
} from './session.ts'
import { type Freshness, mayConfirm, type SpendingRefusal } from './spending.ts'
import {
  type Advertised,
  type Chance,
  type Confirmed,
  eraseKept,
  eraseShares,
  eraseState,
  Held,
  type Keyed,
  type Masked,
  narrowed,
  type Shared,
  type Site,
  type Spent,
  type Step,
  sessionOf,
} from './states.ts'

/**
 * One member, one function per step: advertise · share · agree · mask · confirm · unmask. Each step answers the next state
 * and what to say; nothing else leaves. A state is good for one step that succeeds (R1, R3), and none takes `Spent`.
 *
 * Whoever drives this keeps the exact bytes of `say` on disk before sending them, sends those again when asked again, and
 * keeps states in memory only: after a restart a member says nothing of an earlier session but `Abandon`.
 */

/** R1: a fresh root for every advert. Several may be published ahead; each is for one session. */
export function advertise(
  site: Site,
  about: {
    readonly suite: Suite
    readonly task: Cid
    readonly round: Round
    readonly seq: number
    readonly expiresAt: Millis
    readonly weight?: number
  },
  chance: Chance,
): Step<Advertised, Said<'Advert'>> {
  const { suite, task, round, seq, expiresAt, weight = 1 } = about
  const secrets = secretsOf(chance(32), suite)
  const { channel, mask } = secrets
  const kem = channel.kem && mask.kem ? { cKemPk: channel.kem.publicKey, sKemPk: mask.kem.publicKey } : {}
  const advert = say(site.signer, 'Advert', {
    v: 1,
    suite,
    task,
    round,
    seq,
    id: site.signer.id,
    cPk: channel.publicKey,
    sPk: mask.publicKey,
    ...kem,
    bCommit: selfCommitment(site.signer.id, secrets.self),
    ...(weight > 1 ? { w: weight } : {}),
    exp: expiresAt,
  })
  return { next: { phase: 'advertised', site, advert, held: new Held(secrets) }, say: advert }
}

/** What the member itself worked out about the round it is asked into. */
export type Expectation = {
  readonly task: Cid
  readonly round: Round
  /** R8: genesis, or a result that the member recomputed, or one that C + 1 allow-listed members verified. */
  readonly model: Cid
  /** The sealed plan. */
  readonly spec: Cid
  /** Payload lanes of the vector. */
  readonly width: number
  readonly quantiser: Quantiser
  readonly now: Millis
}

export type ShareRefusal =
  | SessionRefusal
  | ParameterRefusal
  | 'advert-used'
  | 'own-advert-missing'
  | 'not-allowed'
  | 'publication-not-allowed'
  | 'wrong-round'
  | 'wrong-model'
  | 'wrong-plan'
  | 'wrong-vector'
  | 'too-late'

/** Checks the roster and deals shares to all its members. From here on the advert belongs to this session. */
export function share(
  state: Advertised,
  roster: Said<'Roster'>,
  adverts: readonly Said<'Advert'>[],
  expected: Expectation,
  chance: Chance,
): Result<Step<Shared, { readonly keys: Said<'ShareKeys'>; readonly parcel: Parcel }>, ShareRefusal> {
  const secrets = state.held.look()
  if (!secrets) return refuse('advert-used')
  const { site, advert } = state
  const opened = openSession(roster, adverts, site.coordinator)
  if (!opened.ok) return opened
  const session = opened.value
  const own = session.members.find(({ id }) => id === site.signer.id)
  if (own?.cid !== advert.cid) return refuse('own-advert-missing')
  const refused = checkRoster(session, site, expected)
  if (refused) return refused
  const dealt = sealAll(session, own.u, secrets, chance)
  state.held.take()
  const keys = say(site.signer, 'ShareKeys', { sid: session.sid, u: own.u, to: dealt.to })
  const held = new Held({ ...secrets, toHigher: dealt.toHigher })
  const next: Shared = { phase: 'shared', site, session, u: own.u, keys, heard: undefined, held }
  return accept({ next, say: { keys, parcel: dealt.parcel } })
}

function checkRoster(session: Session, site: Site, expected: Expectation) {
  const { params, members } = session
  const { task, round, modelCid, specCid, publish, deadlines } = session.roster.body
  const rule = checkPolicy(params, members.length, site)
  if (!rule.ok) return rule
  const { allowed } = site
  const stranger = allowed === 'open' ? undefined : members.find(({ id }) => !allowed.has(id))
  if (stranger) return refuse('not-allowed', `${stranger.id} is not on the allow-list`)
  if (!site.publish.includes(publish)) return refuse('publication-not-allowed', publish)
  if (task !== expected.task || round !== expected.round) return refuse('wrong-round', `round ${round} of ${task}`)
  if (modelCid !== expected.model) return refuse('wrong-model', `${modelCid}, not ${expected.model}`)
  if (specCid !== expected.spec) return refuse('wrong-plan', `${specCid}, not ${expected.spec}`)
  const { bits, rangeMicro, movingRangeMicro, weightMax, nMax } = expected.quantiser
  const { quantiser } = params
  const same =
    params.d === expected.width &&
    quantiser.bits === bits &&
    quantiser.rangeMicro === rangeMicro &&
    quantiser.movingRangeMicro === movingRangeMicro &&
    quantiser.weightMax === weightMax &&
    quantiser.nMax === nMax
  if (!same) return refuse('wrong-vector', 'length and quantiser are those of the plan')
  if (expected.now >= deadlines[0]) return refuse('too-late')
  return undefined
}

type VersionRefusal = 'own-keys-missing' | 'another-version' | 'not-a-subset'
export type AgreeRefusal = SharingRefusal | ParcelRefusal | VersionRefusal | 'keys-used'

/** What became of a U2: agreed with all of it, or complaints about dealers whose boxes do not hold what they promised. */
export type Agreement =
  | Step<Keyed, readonly []>
  | { readonly next: Shared; readonly say: readonly [Said<'Complaint'>, ...Said<'Complaint'>[]] }

/**
 * Opens the boxes of U2. With complaints the member waits for version 2 of U2, which is a subset; there is no third.
 *
 * @param keys the members' ShareKeys in the list's order
 * @param parcel boxes to this member, and in suite 2 the ciphertexts of lower members to it
 */
export function agree(
  state: Shared,
  shared: Said<'Shared'>,
  keys: readonly Said<'ShareKeys'>[],
  parcel: Parcel,
): Result<Agreement, AgreeRefusal> {
  const secrets = state.held.look()
  if (!secrets) return refuse('keys-used')
  const { site, session, u, heard } = state
  const sharing = openSharing(session, shared, keys)
  if (!sharing.ok) return sharing
  const own = state.keys.cid
  if (sharing.value.keys.get(u)?.cid !== own) return refuse('own-keys-missing')
  const refused = heard && checkVersion(heard, shared)
  if (refused) return refused
  const opened = openParcel(sharing.value, u, secrets, parcel)
  if (!opened.ok) return opened
  const [first, ...rest] = opened.value.faults.map(({ v, code, cid }) =>
    say(site.signer, 'Complaint', { sid: session.sid, u, v, cid, code }),
  )
  if (first) {
    eraseShares(opened.value.shares)
    return accept({ next: { ...state, heard: shared }, say: [first, ...rest] })
  }
  const masks = openMasks(sharing.value, u, secrets, parcel)
  if (!masks.ok) return masks
  state.held.take()
  const agreed = { secrets, shares: opened.value.shares, masks: masks.value }
  return accept({ next: { phase: 'keyed', site, sharing: sharing.value, u, held: new Held(agreed) }, say: [] })
}

/** Version 2 of U2, for a member that had agreed to version 1 when another complained: the same without some. */
export function narrow(
  state: Keyed,
  shared: Said<'Shared'>,
  keys: readonly Said<'ShareKeys'>[],
): Result<Step<Keyed, readonly []>, SharingRefusal | VersionRefusal | 'already-masked'> {
  const agreed = state.held.look()
  if (!agreed) return refuse('already-masked')
  const { site, sharing: before, u } = state
  const sharing = openSharing(before.session, shared, keys)
  if (!sharing.ok) return sharing
  if (!sharing.value.keys.has(u)) return refuse('own-keys-missing')
  const refused = checkVersion(before.said, shared)
  if (refused) return refused
  state.held.take()
  const next = narrowed(agreed, sharing.value.keys)
  return accept({ next: { phase: 'keyed', site, sharing: sharing.value, u, held: new Held(next) }, say: [] })
}

/** R4: at most two versions, the second a subset of the first. The same again changes nothing. */
function checkVersion(before: Said<'Shared'>, shared: Said<'Shared'>) {
  if (equalBytes(before.hash, shared.hash)) return undefined
  if (shared.body.ver !== before.body.ver + 1) return refuse('another-version', `version ${shared.body.ver} again`)
  const known = new Set(before.body.list.map(({ cid }) => cid))
  return shared.body.list.every(({ cid }) => known.has(cid)) ? undefined : refuse('not-a-subset')
}

/**
 * Masks the input as it streams by. The state is spent when this begins: one input per session (R3), also when the store
 * fails, for what reached it may have been seen. R5: the caller has recorded the input's key and this session before.
 *
 * @param plain the vector's bytes; lane 0 is the advert's weight and lane 1 is 1
 * @param keep a local store: an upload that fails is sent again from there, byte for byte. @returns the vector's CID
 */
export async function mask(
  state: Keyed,
  plain: AsyncIterable<Bytes>,
  keep: (masked: AsyncIterable<Bytes>) => Promise<Cid>,
): Promise<Result<Step<Masked, Said<'MaskedInput'>>, 'already-masked'>> {
  const agreed = state.held.take()
  if (!agreed) return refuse('already-masked')
  const { site, sharing, u } = state
  const { session } = sharing
  const sizeBytes = vectorBytesOf(session.params.d)
  const kept = { self: copyOf(agreed.secrets.self), shares: agreed.shares }
  const weight = session.members[u - 1]?.weight ?? 0
  try {
    const made = await maskInto(plain, { weight, sizeBytes, masks: [...agreed.masks.values()] }, keep)
    const { sid } = session
    const named = session.roster.body.publish === 'full' ? { cid: made.cid } : {}
    const { sha256 } = made
    const input = say(site.signer, 'MaskedInput', { sid, u, u2Hash: sharing.hash, ...named, bytes: sizeBytes, sha256 })
    return accept({ next: { phase: 'masked', site, sharing, u, input, held: new Held(kept) }, say: input })
  } catch (cause) {
    eraseKept(kept)
    throw cause
  } finally {
    erase(agreed.secrets)
    for (const { seed } of agreed.masks.values()) seed.fill(0)
  }
}

export type ConfirmRefusal = SurvivalRefusal | SpendingRefusal | 'already-confirmed' | 'own-input-missing'

/**
 * Signs the one set of survivors that this member will ever sign in this session.
 *
 * @param inputs the survivors' MaskedInputs in the list's order
 * @param freshness R5: sessions that had the same input before, if any
 */
export function confirm(
  state: Masked,
  survivors: Said<'Survivors'>,
  inputs: readonly Said<'MaskedInput'>[],
  freshness: Freshness,
): Result<Step<Confirmed, Said<'Confirm'>>, ConfirmRefusal> {
  const kept = state.held.look()
  if (!kept) return refuse('already-confirmed')
  const { site, sharing, u } = state
  const survival = openSurvival(sharing, survivors, inputs)
  if (!survival.ok) return survival
  if (survival.value.inputs.get(u)?.cid !== state.input.cid) return refuse('own-input-missing')
  const fresh = mayConfirm(freshness, survival.value)
  if (!fresh.ok) return fresh
  state.held.take()
  const { sid } = sharing.session
  const said = say(site.signer, 'Confirm', { sid, u, u3Hash: survival.value.hash })
  return accept({
    next: { phase: 'confirmed', site, survival: survival.value, u, held: new Held(kept) },
    say: said,
  })
}

export type UnmaskRefusal = CertificateRefusal | 'already-unmasked'

/** With a certificate over the set it confirmed, a member gives its own seed, and of each other exactly one share. */
export function unmask(
  state: Confirmed,
  certificate: Said<'QuorumCert'>,
): Result<Step<Spent, Said<'Unmask'>>, UnmaskRefusal> {
  const kept = state.held.look()
  if (!kept) return refuse('already-unmasked')
  const { site, survival, u } = state
  const checked = checkCertificate(survival, certificate)
  if (!checked.ok) return checked
  state.held.take()
  const shareOf = (v: number, of: 'root' | 'self') => {
    const pair = kept.shares.get(v)
    assert(pair, 'a member holds shares of all of U2')
    return { u: v, share: copyOf(pair[of]) }
  }
  const said = say(site.signer, 'Unmask', {
    sid: survival.sharing.session.sid,
    u,
    u3Hash: survival.hash,
    self: copyOf(kept.self),
    bShares: [...survival.inputs.keys()].filter((v) => v !== u).map((v) => shareOf(v, 'self')),
    rootShares: survival.dropouts.map((v) => shareOf(v, 'root')),
  })
  eraseKept(kept)
  return accept({ next: SPENT, say: said })
}

/** Leaves the session: everything is zeroed first, and then it is said (R5). */
export function abandon(
  state: Shared | Keyed | Masked | Confirmed,
): Result<Step<Spent, Said<'Abandon'>>, 'already-spent'> {
  const erased = eraseState(state)
  if (!erased) return refuse('already-spent')
  const session = sessionOf(state)
  const confirmed = state.phase === 'confirmed'
  return accept({
    next: SPENT,
    say: say(state.site.signer, 'Abandon', { sid: session.sid, u: state.u, confirmed }),
  })
}

/** After a restart nothing is known of what was confirmed: the member says the worse (R3, R5). */
export function abandonAfterRestart(signer: Signer, sid: Bytes, u: number): Said<'Abandon'> {
  return say(signer, 'Abandon', { sid, u, confirmed: true })
}

const SPENT: Spent = { phase: 'spent' }
