import { parcelFor, sharedOf } from '#aggregation/secagg/aggregator.ts'
import { type Said, SUITE_HYBRID, SUITE_X25519, say } from '#aggregation/secagg/messages.ts'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import { advertise, share } from '#aggregation/secagg/participant.ts'
import { openSession, openSharing } from '#aggregation/secagg/session.ts'
import type { Site } from '#aggregation/secagg/states.ts'
import { keystream, sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { copyOf, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Result } from '#protocol/result.ts'

export type Size = { readonly n: number; readonly parameters: number; readonly hybrid: boolean }

/**
 * A cohort whose keys are all out: real messages of n members, one of whom is then measured.
 *
 * @param signers the members, in any order
 */
export function dealtCohort({ n, parameters, hybrid }: Size, signers: readonly Signer[] = signersOf(n)) {
  const suite = hybrid ? SUITE_HYBRID : SUITE_X25519
  const coordinator = signerOf(sha256(utf8('bench coordinator')))
  const [task, model, spec] = ['task', 'model', 'plan'].map((name) => cidOf(DAG_CBOR, utf8(name))) as [
    ReturnType<typeof cidOf>,
    ReturnType<typeof cidOf>,
    ReturnType<typeof cidOf>,
  ]
  const members = signers.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const allowed = new Set(members.map(({ id }) => id))
  const sites = members.map(
    (signer): Site => ({ signer, coordinator: coordinator.id, allowed, publish: ['full'], maxCorrupt: 1 }),
  )
  const quantiser = { bits: Math.min(24, 32 - Math.ceil(Math.log2(n))), rangeMicro: 10_000_000, weightMax: 1, nMax: n }
  const advertiseAs = (u: number) =>
    advertise(sites[u - 1] as Site, { suite, task, round: 1, seq: 0, expiresAt: 10 }, chanceOf(`advert ${u}`)).next
  const states = sites.map((_, index) => advertiseAs(index + 1))
  const adverts = states.map(({ advert }) => advert)
  const { C, q, t, live } = sure(secureRule(n, { maxCorrupt: 1 }))
  const roster = say(coordinator, 'Roster', {
    v: 1,
    suite,
    task,
    round: 1,
    attempt: 1,
    publish: 'full',
    modelCid: model,
    specCid: spec,
    graph: { kind: 'complete' },
    params: { laneBits: 32, d: parameters, quantiser, C, q, t, live, s2: 0 },
    deadlines: [1, 2, 3, 4],
    members: adverts.map(({ from, cid }) => ({ id: from, advert: cid })),
  })
  const expected = { task, round: 1, model, spec, width: parameters, quantiser, now: 0 }
  const shareAs = (u: number) => sure(share(advertiseAs(u), roster, adverts, expected, chanceOf(`share ${u}`)))
  const dealt = sites.map((_, index) => shareAs(index + 1))
  const keys = dealt.map((one) => one.say.keys)
  const session = sure(openSession(roster, adverts, coordinator.id))
  const shared = say(coordinator, 'Shared', sharedOf(session, keys))
  const sharing = sure(openSharing(session, shared, keys))
  const parcels = dealt.map((one) => one.say.parcel)
  return {
    coordinator,
    sites,
    adverts,
    roster,
    keys,
    shared,
    sharing,
    dealt,
    parcel: parcelFor(1, parcels),
    advertiseAs,
    shareAs,
  }
}

/** Sites that are the same in every run. */
export function signersOf(count: number): readonly Signer[] {
  return Array.from({ length: count }, (_, index) => signerOf(sha256(utf8(`bench site ${index}`))))
}

/** Signed claims of inputs that nobody made: what a certificate needs, without masking a hundred vectors. */
export function claimedInputs(
  { sites, sharing }: ReturnType<typeof dealtCohort>,
  survivors: readonly number[],
  own: Said<'MaskedInput'>,
): readonly Said<'MaskedInput'>[] {
  return survivors.map((u) =>
    u === own.body.u
      ? own
      : say((sites[u - 1] as Site).signer, 'MaskedInput', { ...own.body, sid: sharing.session.sid, u }),
  )
}

export function chanceOf(name: string): (lengthBytes: number) => Bytes {
  const next = keystream(sha256(utf8(name)), new Uint8Array(16))
  return (lengthBytes) => copyOf(next(lengthBytes))
}

export function sure<T>(result: Result<T>): T {
  assert(result.ok, result.ok ? '' : `${result.refusal} ${result.detail ?? ''}`)
  return result.value
}
