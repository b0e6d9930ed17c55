import {
  certificateOf,
  checkParcel,
  checkUnmask,
  parcelFor,
  resultOf,
  reveal,
  sharedOf,
  survivorsOf,
} from '#aggregation/secagg/aggregator.ts'
import { type MaskCt, type Parcel, type Said, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, mask, share, unmask } from '#aggregation/secagg/participant.ts'
import { masksOf, removeMasks } from '#aggregation/secagg/removal.ts'
import {
  checkMaskedInput,
  checkShareKeys,
  openSession,
  openSharing,
  openSurvival,
} from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Advertised, Confirmed, Keyed, Masked, Shared } from '#aggregation/secagg/states.ts'
import { type SessionRecord, sumOf } from '#aggregation/secagg/verification.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { cidOf, RAW } from '#protocol/cid.ts'
import { accept, type Result } from '#protocol/result.ts'
import { must } from '#test/aggregation/given.ts'
import { advertiseAll, type Cohort, chanceOf, expectedBy, rosterOf, streamOf, Vectors } from './cohort.ts'

/** Who stops in which phase: their last message is the one before. */
export type Absent = {
  readonly share?: readonly number[]
  readonly mask?: readonly number[]
  readonly confirm?: readonly number[]
  readonly unmask?: readonly number[]
}

export type Played = {
  readonly sum: RingVector
  readonly survivors: readonly number[]
  readonly record: SessionRecord
  readonly answers: readonly Said<'Unmask'>[]
  /** What members sent to each other alone. */
  readonly parcels: readonly Parcel[]
  readonly vectors: Vectors
}

/** A whole session with an honest coordinator, up to its record; a refusal where too few are left. */
export async function play(cohort: Cohort, absent: Absent = {}): Promise<Result<Played>> {
  const shared = dealAll(cohort, absent.share)
  const sharing = shareOut(cohort, shared)
  if (!sharing.ok) return sharing
  const { keyed } = sharing.value
  const vectors = new Vectors()
  const masked = await maskAll(cohort, without(keyed, absent.mask), vectors)
  return conclude(cohort, sharing.value, masked, vectors, absent)
}

/** Members with their phase's state, by index. */
export type Cast<State> = ReadonlyMap<number, State>
export type Dealt = {
  readonly adverts: readonly Said<'Advert'>[]
  readonly roster: Said<'Roster'>
  readonly states: Cast<Shared>
  readonly keys: readonly Said<'ShareKeys'>[]
  readonly parcels: readonly Parcel[]
}

export function dealAll(cohort: Cohort, absent: readonly number[] = [], turn = 0): Dealt {
  const all: readonly Advertised[] = advertiseAll(cohort, turn)
  const adverts = all.map(({ advert }) => advert)
  const roster = rosterOf(cohort, adverts)
  const dealt = all
    .filter((_, index) => !absent.includes(index + 1))
    .map((state) => {
      const u = adverts.indexOf(state.advert) + 1
      return must(share(state, roster, adverts, expectedBy(cohort), chanceOf(cohort, u, 1_000 + turn)))
    })
  for (const { say } of dealt) must(checkParcel(say.keys, say.parcel))
  return {
    adverts,
    roster,
    states: new Map(dealt.map(({ next }) => [next.u, next])),
    keys: dealt.map(({ say }) => say.keys),
    parcels: dealt.map(({ say }) => say.parcel),
  }
}

export type SharedOut = {
  readonly dealt: Dealt
  readonly shared: Said<'Shared'>
  readonly keyed: Cast<Keyed>
  readonly maskCts: readonly MaskCt[]
}

export function shareOut(cohort: Cohort, dealt: Dealt): Result<SharedOut> {
  const session = openSession(dealt.roster, dealt.adverts, cohort.coordinator.id)
  if (!session.ok) return session
  for (const keys of dealt.keys) must(checkShareKeys(session.value, keys))
  const shared = say(cohort.coordinator, 'Shared', sharedOf(session.value, dealt.keys))
  const keyed = new Map<number, Keyed>()
  for (const [u, state] of dealt.states) {
    const agreed = agree(state, shared, dealt.keys, parcelFor(u, dealt.parcels))
    if (!agreed.ok) return agreed
    if (agreed.value.next.phase === 'keyed') keyed.set(u, agreed.value.next)
  }
  return accept({ dealt, shared, keyed, maskCts: dealt.parcels.flatMap(({ maskCts }) => maskCts) })
}

export async function maskAll(cohort: Cohort, keyed: Cast<Keyed>, vectors: Vectors): Promise<Cast<Masked>> {
  const masked = new Map<number, Masked>()
  for (const [u, state] of keyed)
    masked.set(u, must(await mask(state, streamOf(cohort.inputs[u - 1] as RingVector), vectors.keep)).next)
  return masked
}

async function conclude(
  cohort: Cohort,
  { dealt, shared, maskCts }: SharedOut,
  masked: Cast<Masked>,
  vectors: Vectors,
  absent: Absent,
): Promise<Result<Played>> {
  const session = must(openSession(dealt.roster, dealt.adverts, cohort.coordinator.id))
  const sharing = must(openSharing(session, shared, dealt.keys))
  const inputs = [...masked.values()].map(({ input }) => input).toSorted((a, b) => a.body.u - b.body.u)
  for (const input of inputs) must(checkMaskedInput(sharing, input))
  const survivors = say(cohort.coordinator, 'Survivors', survivorsOf(sharing, inputs))
  const survival = openSurvival(sharing, survivors, inputs)
  if (!survival.ok) return survival
  const confirmed: { readonly next: Confirmed; readonly say: Said<'Confirm'> }[] = []
  for (const state of without(masked, absent.confirm).values())
    confirmed.push(must(confirm(state, survivors, inputs, UNSPENT)))
  const body = certificateOf(
    survival.value,
    confirmed.map((one) => one.say),
  )
  if (!body.ok) return body
  const certificate = say(cohort.coordinator, 'QuorumCert', body.value)
  const answers = confirmed
    .filter(({ next }) => !absent.unmask?.includes(next.u))
    .map(({ next }) => must(unmask(next, certificate)).say)
  for (const answer of answers) must(checkUnmask(survival.value, answer))
  const { revealed } = reveal(survival.value, answers)
  if (!revealed.ok) return revealed
  const removal = masksOf(survival.value, revealed.value, maskCts)
  if (!removal.masks.ok) return removal.masks
  const sum = must(await sumOf(survival.value, vectors.read))
  await removeMasks(sum, removal.masks.value)
  const bytes = encodeLanes(sum)
  const about = { sumCid: cidOf(RAW, bytes), sumSha256: sha256(bytes), model: cohort.model, verifier: 'test' }
  const result = say(cohort.coordinator, 'Result', resultOf(survival.value, revealed.value, about))
  const { adverts, roster, keys } = dealt
  const record = { roster, adverts, shared, keys, survivors, inputs, certificate, result, maskCts }
  return accept({ sum, survivors: inputs.map(({ body }) => body.u), record, answers, parcels: dealt.parcels, vectors })
}

export function without<State>(cast: Cast<State>, absent: readonly number[] = []): Cast<State> {
  return new Map([...cast].filter(([u]) => !absent.includes(u)))
}
