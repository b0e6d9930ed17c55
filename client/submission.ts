import type { Said } from '#aggregation/secagg/messages.ts'
import { mask } from '#aggregation/secagg/participant.ts'
import { eraseState, type Keyed, type Masked } from '#aggregation/secagg/states.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import { once } from '#protocol/bytes.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Entry, MembershipDoors } from './entry.ts'
import { saidEntry, type Vector } from './journal.ts'

/** What came out of training, or of counting: lanes that nobody else may see before they are masked. */
export type Trained = { readonly lanes: RingVector; readonly trainMillis: Millis }
type Submission = { readonly next: Masked; readonly input: Said<'MaskedInput'>; readonly vector: Vector }

/**
 * Masks what was trained, into the outbox. From here on the input is spent (R5), so that is recorded first; and the message
 * that names it is kept before a byte of it leaves (R3). Given up on the way, it leaves no secret behind.
 *
 * @param lodged told where the vector lies
 */
export async function maskTrained(
  { journal, outbox }: Pick<MembershipDoors, 'journal' | 'outbox'>,
  { run, round, assignment, inputKey, spent }: Entry,
  state: Keyed,
  { lanes, trainMillis }: Trained,
  { lodged, over }: { readonly lodged: (vector: Cid) => void; readonly over: AbortSignal },
): Promise<Result<Submission>> {
  const { task } = assignment.plan
  const { sid, roster } = state.sharing.session
  // As many as were judged at the invitation, or another session has had it meanwhile.
  if ((await journal.spendings(inputKey)).length !== spent) return refuse('input-spent', 'in another session meanwhile')
  await journal.spend({ inputKey, sid, run, round, task })
  const sizeBytes = lanes.byteLength
  let cid: Cid | undefined
  const masked = await mask(state, once(encodeLanes(lanes)), async (stream) => {
    cid = await outbox.put(stream, sizeBytes, over)
    lodged(cid)
    await journal.lodge(cid, roster.body.deadlines[3])
    return cid
  })
  if (!masked.ok) return masked
  assert(cid, 'what was masked is in the outbox')
  const { next, say: input } = masked.value
  const vector = { cid, sizeBytes, trainMillis }
  try {
    await journal.keep(run, round, [{ kind: 'vector', ...vector }, saidEntry(input.signed)])
  } catch (cause) {
    eraseState(next)
    throw cause
  }
  return accept({ next, input, vector })
}
