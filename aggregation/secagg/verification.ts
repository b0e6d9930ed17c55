import { createSha256, sha256 } from '#crypto'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { accumulate } from '../accumulate.ts'
import type { RingSum } from '../kernels/ring.ts'
import { EQUAL_ROWS, limitsOf } from '../quantise.ts'
import { RangeCheck } from '../ranges.ts'
import { encodeLanes, lanesOf, type Payload, type RingVector, widthOf } from '../vector.ts'
import { isMaskRoot, isSelfSeed, type Revealed } from './aggregator.ts'
import type { Mask } from './mask.ts'
import type { Body, MaskCt, Said } from './messages.ts'
import { masksOf, type RemoveMasks, removeMasks } from './removal.ts'
import { checkCertificate, openSession, openSharing, openSurvival, type Session, type Survival } from './session.ts'

/** Everything that was published of one session. */
export type SessionRecord = {
  readonly roster: Said<'Roster'>
  /** In the order of the roster, of U2, of U2 and of U3. */
  readonly adverts: readonly Said<'Advert'>[]
  readonly shared: Said<'Shared'>
  readonly keys: readonly Said<'ShareKeys'>[]
  readonly survivors: Said<'Survivors'>
  readonly inputs: readonly Said<'MaskedInput'>[]
  readonly certificate: Said<'QuorumCert'>
  readonly result: Said<'Result'>
  /** Suite 2: of survivors to higher dropouts. */
  readonly maskCts: readonly MaskCt[]
}

/** Where a record fails; the order is that of the checks. */
export type VerificationStep =
  | 'roster'
  | 'sharing'
  | 'survivors'
  | 'certificate'
  | 'self-seed'
  | 'mask-root'
  | 'mask-ciphertext'
  | 'vector'
  | 'ranges'
  | 'sum'

/** Where a member's masked vector is: by its link, or, where only hashes are public, wherever the caller has it. */
export type VectorSource = (input: Body<'MaskedInput'>) => AsyncIterable<Bytes>
export type VerifiedSession = { readonly survival: Survival; readonly sum: RingVector }

/**
 * Redoes a session from its public record, with no trust in the coordinator but for its key: who was asked, who survived by
 * whose signatures, every revealed seed against its commitment, and the sum. What follows from the sum is the caller's.
 *
 * @param payload what the vectors carry, by the task or question that the caller knows them to be about
 * @param vector a masked vector's bytes; they are checked here
 * @param remove by whose hands the masks come off
 */
export async function verifySession(
  record: SessionRecord,
  coordinator: NodeId,
  payload: Payload,
  vector: VectorSource,
  remove: RemoveMasks = removeMasks,
): Promise<Result<VerifiedSession, VerificationStep>> {
  const checked = checkSession(record, coordinator)
  if (!checked.ok) return checked
  const { survival, masks } = checked.value
  const summed = await sumOf(survival, vector)
  if (!summed.ok) return summed
  await remove(summed.value, masks)
  const sound = checkSum(survival, payload, summed.value)
  if (!sound.ok) return refuse('ranges', sound.detail ?? sound.refusal)
  if (!equalBytes(sha256(encodeLanes(summed.value)), record.result.body.sumSha256))
    return refuse('sum', 'the record says another sum')
  return accept({ survival, sum: summed.value })
}

/** All that can be checked without the vectors: what there is where only their hashes were published. */
export function checkSession(
  record: SessionRecord,
  coordinator: NodeId,
): Result<{ readonly survival: Survival; readonly masks: readonly Mask[] }, VerificationStep> {
  const session = openSession(record.roster, record.adverts, coordinator)
  if (!session.ok) return at('roster', session)
  const sharing = openSharing(session.value, record.shared, record.keys)
  if (!sharing.ok) return at('sharing', sharing)
  const survival = openSurvival(sharing.value, record.survivors, record.inputs)
  if (!survival.ok) return at('survivors', survival)
  const certificate = checkCertificate(survival.value, record.certificate)
  if (!certificate.ok) return at('certificate', certificate)
  const revealed = checkRevealed(session.value, survival.value, record.result)
  if (!revealed.ok) return revealed
  const { masks } = masksOf(survival.value, revealed.value, record.maskCts)
  return masks.ok ? accept({ survival: survival.value, masks: masks.value }) : at('mask-ciphertext', masks)
}

function checkRevealed(
  session: Session,
  survival: Survival,
  { body, from }: Said<'Result'>,
): Result<Revealed, 'self-seed' | 'mask-root' | 'sum'> {
  if (from !== session.coordinator || !equalBytes(body.sid, session.sid) || !equalBytes(body.u3Hash, survival.hash))
    return refuse('sum', 'a result of another session, set or coordinator')
  const survivors = [...survival.inputs.keys()]
  if (!same(body.selfSeeds, survivors)) return refuse('self-seed', 'the survivors are the ones who are revealed')
  if (!same(body.roots, survival.dropouts)) return refuse('mask-root', 'the dropouts are the ones who are revealed')
  for (const { u, b } of body.selfSeeds)
    if (!isSelfSeed(session, u, b)) return refuse('self-seed', `member ${u} committed to another`)
  for (const { u, maskRoot } of body.roots)
    if (!isMaskRoot(session, u, maskRoot)) return refuse('mask-root', `member ${u} has other mask keys`)
  return accept({
    selfSeeds: new Map(body.selfSeeds.map(({ u, b }) => [u, b])),
    roots: new Map(body.roots.map(({ u, maskRoot }) => [u, maskRoot])),
  })
}

function same(entries: readonly { readonly u: number }[], indices: readonly number[]): boolean {
  return entries.length === indices.length && entries.every(({ u }, index) => u === indices[index])
}

/** The sum of the masked vectors, each of which must be the bytes that its member signed. */
export async function sumOf(
  survival: Survival,
  vector: VectorSource,
  begun?: { readonly sum: RingSum; readonly has: (u: number) => boolean },
): Promise<Result<RingVector, 'vector'>> {
  const wrong: number[] = []
  async function* checked(input: Body<'MaskedInput'>): AsyncIterable<Bytes> {
    const { u, sha256: expected } = input
    const hash = createSha256()
    for await (const piece of vector(input)) {
      hash.update(piece)
      yield piece
    }
    if (!equalBytes(hash.digest(), expected)) wrong.push(u)
  }
  const inputs = [...survival.inputs.values()].filter(({ body }) => !begun?.has(body.u))
  const streams = inputs.map(({ body }) => checked(body))
  const sum = await accumulate(streams, lanesOf(survival.sharing.session.params.d), begun?.sum)
  if (!sum.ok) return refuse('vector', sum.detail)
  return wrong.length === 0 ? sum : refuse('vector', `not the bytes that member ${wrong[0]} signed`)
}

/**
 * R9 and R10: every range of the vector, one report per survivor, the weights that the adverts made public, and no more rows
 * than survivors stand for: nobody sees single figures here, so that one site's could drown all others'.
 */
export function checkSum(survival: Survival, payload: Payload, sum: RingVector): Result<void> {
  const { params, members } = survival.sharing.session
  if (widthOf(payload) !== params.d)
    return refuse('wrong-vector', `${params.d} lanes of payload, not ${widthOf(payload)}`)
  const limits = limitsOf(payload, params.quantiser, params.quantiser.nMax)
  const check = new RangeCheck({ ...limits, rowsMax: EQUAL_ROWS })
  const refused = check.take(sum)
  if (refused) return refused
  const { reports, weight } = check.looked()
  const expected = members.reduce((total, { u, weight: own }) => total + (survival.inputs.has(u) ? own : 0), 0)
  if (reports !== survival.inputs.size) return refuse('bad-header', `${reports} reports of ${survival.inputs.size}`)
  return weight === expected ? accept(undefined) : refuse('bad-header', `weight ${weight}, adverts say ${expected}`)
}

function at<S extends VerificationStep>(step: S, { refusal, detail }: { refusal: string; detail?: string }) {
  return refuse(step, detail === undefined ? refusal : `${refusal}: ${detail}`)
}
