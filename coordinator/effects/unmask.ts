import { type Conviction, type Revealed, resultOf, reveal } from '#aggregation/secagg/aggregator.ts'
import { type MaskCt, maskCtListSchema, parcelSchema, type Said, say } from '#aggregation/secagg/messages.ts'
import { masksOf } from '#aggregation/secagg/removal.ts'
import type { Survival } from '#aggregation/secagg/session.ts'
import { checkSum, sumOf } from '#aggregation/secagg/verification.ts'
import { encodeLanes, type Payload, type RingVector, vectorBytesOf } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { digestOf } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { SessionManifest } from '#protocol/manifest.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { blockOf, readBlock } from '../record.ts'
import { type Aggregation, type MaskedSeated, reportedSeats } from '../round/round.ts'
import { blocksOf, readSaid } from '../said.ts'
import { vectorsOf } from '../vectors.ts'
import type { SessionDoors } from './session.ts'

/** The sum of a masked round without its masks, and what of the session is published with it. */
export type Unmasked = {
  readonly sum: RingVector
  readonly survival: Survival
  readonly revealed: Revealed
  readonly maskCts: readonly Block[]
  /** Of vectors that are withheld and larger than a block: what members ask for them by, in the order of the survivors. */
  readonly vectorRoots: readonly Bytes[] | undefined
}

/**
 * Puts the secrets together, adds the masked vectors up and takes the masks off the sum. No vector is ever unmasked: what
 * is held is one sum, of at least q inputs. A refusal ends the round; it says whose doing it was where that can be proven.
 */
export async function unmaskedSum(
  doors: SessionDoors,
  run: RunId,
  { round, payload }: { readonly round: Aggregation & MaskedSeated; readonly payload: Payload },
  signal: AbortSignal,
): Promise<Result<Unmasked>> {
  const { blobs, vault, sessions, removeMasks } = doors
  const survival = await sessions.survival(round.session)
  const answered = round.session.unmasks.filter((cid) => cid !== null)
  const unmasks = await Promise.all(answered.map((cid) => readSaid(vault, 'Unmask', cid)))
  const { revealed, convicted } = reveal(survival, unmasks)
  if (!revealed.ok) return refuse(revealed.refusal, seatsOf(convicted))
  const maskCts = await ciphertextsOf(doors, round, survival)
  const removal = masksOf(survival, revealed.value, maskCts.flat())
  if (!removal.masks.ok) return refuse(removal.masks.refusal, seatsOf(removal.convicted))

  const vectors = new Map(reportedSeats(round).map(({ seat, vector }) => [seat + 1, vector]))
  const store = vectorsOf(doors, round.secure)
  const limitBytes = vectorBytesOf(survival.sharing.session.params.d)
  const begun = await doors.tally.take(
    run,
    round.round,
    new Map(reportedSeats(round).map(({ seat, vector }) => [seat, vector])),
  )
  const sum = await sumOf(
    survival,
    ({ u }) => store.get(vectors.get(u) as Cid, { limitBytes }, signal),
    begun && { sum: begun.sum, has: (u) => begun.seats.has(u - 1) },
  )
  // Each was hashed before it counted: other bytes now are a broken disk's, and the next try may find it mended.
  if (!sum.ok) throw new Error(`a masked vector changed in the store: ${sum.detail}`)
  await removeMasks(sum.value, removal.masks.value, signal)
  const sound = checkSum(survival, payload, sum.value)
  if (!sound.ok) return refuse(`sum-${sound.refusal}`, sound.detail)
  const lists = maskCts.filter((list) => list.length > 0).map((list) => blockOf(maskCtListSchema, list))
  const isNamed = store === blobs || limitBytes <= BLOCK_BYTES_MAX
  const roots = isNamed ? undefined : [...survival.inputs.keys()].map((u) => digestOf(vectors.get(u) as Cid))
  return accept({ sum: sum.value, survival, revealed: revealed.value, maskCts: lists, vectorRoots: roots })
}

/** The session as the round's manifest names it. @returns with the blocks that are new */
export function sessionManifest(
  { signer }: Pick<SessionDoors, 'signer'>,
  { session }: MaskedSeated,
  { sum, survival, revealed, maskCts, vectorRoots }: Unmasked,
  made: { readonly aggregate: Cid; readonly model: Cid },
): { readonly session: SessionManifest; readonly blocks: readonly Block[] } {
  const { roster, shared, survivors, certificate } = session
  assert(roster && shared && survivors && certificate, 'an unmasked session has been through all its steps')
  const body = resultOf(survival, revealed, {
    sumCid: made.aggregate,
    sumSha256: sha256(encodeLanes(sum)),
    model: made.model,
    verifier: 'secagg/1',
  })
  const result: Said<'Result'> = say(signer, 'Result', body)
  const named = { roster, shared: shared.cid, survivors, certificate, result: result.cid }
  const links = { ...named, maskCts: maskCts.map(({ cid }) => cid), ...(vectorRoots && { vectorRoots }) }
  return { session: links, blocks: [...blocksOf(result), ...maskCts] }
}

/** Suite 2: of each survivor what it sent to higher dropouts, which their roots cannot make again. */
async function ciphertextsOf(
  { vault }: SessionDoors,
  { session, secure }: Aggregation & MaskedSeated,
  survival: Survival,
): Promise<readonly (readonly MaskCt[])[]> {
  if (secure?.suite !== 2 || survival.dropouts.length === 0) return []
  const dropouts = new Set(survival.dropouts)
  return Promise.all(
    [...survival.inputs.keys()].map(async (u) => {
      const dealt = session.dealt[u - 1]
      assert(dealt, 'a survivor has dealt its keys')
      const { maskCts } = await readBlock(vault, dealt.parcel, parcelSchema)
      return maskCts.filter(({ v }) => dropouts.has(v))
    }),
  )
}

function seatsOf(convicted: readonly Conviction[]): string {
  return convicted.map(({ u, of }) => `seat ${u - 1}: ${of}`).join(', ')
}
