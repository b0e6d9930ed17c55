import { z } from 'zod'
import { certificateOf, judged, parcelFor, sharedOf, survivorsOf } from '#aggregation/secagg/aggregator.ts'
import { type Body, type Parcel, parcelSchema, type Said, say } from '#aggregation/secagg/messages.ts'
import type { RemoveMasks } from '#aggregation/secagg/removal.ts'
import { payloadIn, widthOf } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import { cidField } from '#protocol/codec.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { COMPLAINTS_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import type { PartsStore } from '#protocol/ports.ts'
import type { Unstamped } from '../live.ts'
import type { SessionWork } from '../obligations.ts'
import { blockOf, orderOf, readBlock } from '../record.ts'
import { sessionUntil } from '../retention.ts'
import { hasDealt } from '../round/keys.ts'
import { type Consistency, type Keys, reportedSeats } from '../round/round.ts'
import type { Run } from '../run.ts'
import type { EffectHandler } from '../runner.ts'
import { keepSaid, readSaid } from '../said.ts'
import type { Sessions } from '../sessions.ts'
import type { Tally } from '../tally.ts'
import type { VectorStores } from '../vectors.ts'

/** Where each member's parcel is, by seat: null for who is not in U2. */
export const parcelListSchema = z.array(cidField.nullable()).max(SESSION_MEMBERS_MAX).readonly()
export const complaintListSchema = z.array(cidField).min(1).max(COMPLAINTS_MAX).readonly()

export type SessionDoors = VectorStores & {
  /** Boxes and shares: nobody outside may read them. */
  readonly vault: PartsStore
  readonly signer: Signer
  readonly sessions: Sessions
  /** What has been added up already. */
  readonly tally: Tally
  /** By whose hands the masks come off a sum. */
  readonly removeMasks: RemoveMasks
}

/**
 * What the coordinator itself says in a session. Each statement is a function of the round's state, is signed and kept
 * before the event that names it, and is sent only after that (R18): another process that takes over sends the same bytes.
 */
export function sessionEffects(doors: SessionDoors): Readonly<Record<SessionWork, EffectHandler>> {
  return {
    enrol: (run) => enrol(doors, run, inPhase(run, 'keys')),
    share: (run) => share(doors, run, inPhase(run, 'keys')),
    judge: (run) => judge(doors, inPhase(run, 'keys')),
    survey: (run) => survey(doors, inPhase(run, 'consistency')),
    certify: (run) => certify(doors, inPhase(run, 'consistency')),
  }
}

async function enrol({ blobs, signer }: SessionDoors, run: Run, round: Keys): Promise<Unstamped> {
  const { spec, model, parent } = run
  const { secure, session, cohort } = round
  assert(secure, 'only a masked round has a roster')
  const { quantiser, payload } = await orderOf(blobs, spec)
  const d = widthOf(payloadIn(round.purpose, payload))
  const { C, q, t, live } = session.rule
  const roster = say(signer, 'Roster', {
    v: 1,
    suite: secure.suite,
    task: spec.task,
    round: round.round,
    attempt: 1,
    publish: secure.publish,
    modelCid: model,
    specCid: round.plan,
    ...(parent ? { prevBundle: parent } : {}),
    graph: { kind: 'complete' },
    params: { laneBits: 32, d, quantiser, C, q, t, live, s2: 0 },
    deadlines: session.deadlines,
    members: cohort.map((id, seat) => ({ id, advert: session.adverts[seat] as Cid })),
  })
  await keepSaid(blobs, roster)
  return { kind: 'enrolled', round: round.round, roster: roster.cid }
}

async function share(doors: SessionDoors, run: Run, round: Keys): Promise<Unstamped> {
  const { blobs, vault, signer, sessions } = doors
  const session = await sessions.session(round.session)
  const dealt = round.session.dealt.flatMap((one, seat) => (one && hasDealt(round, seat) ? [one] : []))
  const out = round.session.dealt.flatMap((one, seat) => (one && !hasDealt(round, seat) ? [seat] : []))
  const keys = await Promise.all(dealt.map((one) => readSaid(blobs, 'ShareKeys', one.keys)))
  const shared = say(signer, 'Shared', sharedOf(session, keys))
  const parcels = await Promise.all(dealt.map(({ parcel }) => readBlock(vault, parcel, parcelSchema)))
  const list = await keepParcels(vault, run, round, { parcels, keys })
  await keepSaid(blobs, shared)
  return { kind: 'shared', round: round.round, shared: shared.cid, parcels: list, out }
}

/** What all of U2 sent to each of it. @returns the list by seat */
async function keepParcels(
  vault: PartsStore,
  run: Run,
  { cohort }: Keys,
  { parcels, keys }: { readonly parcels: readonly Parcel[]; readonly keys: readonly Said<'ShareKeys'>[] },
): Promise<Cid> {
  const members = new Set(keys.map(({ body }) => body.u))
  const blocks = cohort.map((_, seat) =>
    members.has(seat + 1) ? blockOf(parcelSchema, parcelFor(seat + 1, parcels)) : null,
  )
  const list = blockOf(
    parcelListSchema,
    blocks.map((block) => block?.cid ?? null),
  )
  await vault.putParts(list.cid, [...blocks.filter((block) => block !== null), list], sessionUntil(run))
  return list.cid
}

async function judge({ blobs, signer, sessions }: SessionDoors, round: Keys): Promise<Unstamped> {
  const { shared, answers } = round.session
  assert(shared, 'a dispute is about a U2')
  const sharing = await sessions.sharing(round.session)
  const complaints: Said<'Complaint'>[] = []
  for (const answer of answers) {
    if (answer === null || answer === 'agreed') continue
    const list = await readBlock(blobs, answer.complaints, complaintListSchema)
    for (const cid of list) complaints.push(await readSaid(blobs, 'Complaint', cid))
  }
  const body = judged(sharing, complaints)
  const second = say(signer, 'Shared', body)
  await keepSaid(blobs, second)
  const left = new Set(body.list.map(({ u }) => u))
  const out = shared.members.flatMap((member, seat) => (member && !left.has(seat + 1) ? [seat] : []))
  return { kind: 'shared', round: round.round, shared: second.cid, parcels: shared.parcels, out }
}

async function survey({ blobs, signer, sessions }: SessionDoors, round: Consistency): Promise<Unstamped> {
  const sharing = await sessions.sharing(round.session)
  const inputs = await Promise.all(reportedSeats(round).map(({ update }) => readSaid(blobs, 'MaskedInput', update)))
  const survivors = say(signer, 'Survivors', survivorsOf(sharing, inputs))
  await keepSaid(blobs, survivors)
  return { kind: 'surveyed', round: round.round, survivors: survivors.cid }
}

async function certify({ blobs, signer, sessions }: SessionDoors, round: Consistency): Promise<Unstamped> {
  const survival = await sessions.survival(round.session)
  const said = round.session.confirms.filter((cid) => cid !== null)
  const confirms = await Promise.all(said.map((cid) => readSaid(blobs, 'Confirm', cid)))
  const body = certificateOf(survival, confirms)
  assert(body.ok, 'each confirmation was checked before it counted')
  const certificate = say(signer, 'QuorumCert', body.value as Body<'QuorumCert'>)
  await keepSaid(blobs, certificate)
  return { kind: 'certified', round: round.round, certificate: certificate.cid }
}

function inPhase<P extends 'keys' | 'consistency'>(run: Run, phase: P): Extract<Run['round'], { phase: P }> {
  assert(run.round?.phase === phase, 'a session statement is owed in its phase')
  return run.round as Extract<Run['round'], { phase: P }>
}
