import { encodeLanes } from '#aggregation/vector.ts'
import { type Block, isAttachable } from '#protocol/envelope.ts'
import { holdFile } from '#protocol/held-file.ts'
import type { Cid, Round, RunId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import type { RemoteStore } from '#protocol/ports.ts'
import type { Trained } from './submission.ts'

/** Whose report it is, and of what. */
type Place = {
  readonly run: RunId
  readonly round: Round
  readonly seat: number
  readonly plan: Cid
  /** That was trained on. */
  readonly model: Cid
}

/** What every frame to a coordinator says. */
type Said = Pick<Extract<ClientMessage, { kind: 'report' }>, 'to' | 'seq'>

/**
 * What was trained, as a plain round's report. A small vector travels with it; a large one goes ahead, under the seat's
 * ticket. After a restart the same is trained again, so that only what did not come through is sent again.
 */
export async function reportOf(
  place: Place,
  { lanes, trainMillis }: Trained,
  blobs: RemoteStore,
  said: () => Said,
  signal: AbortSignal,
): Promise<{ readonly message: Extract<ClientMessage, { kind: 'report' }>; readonly attached: readonly Block[] }> {
  const vector = encodeLanes(lanes)
  const held = holdFile(vector)
  const attached = isAttachable(vector.length) ? [{ cid: held.cid, bytes: vector }] : []
  if (attached.length === 0) await blobs.send(held, held.cid, signal)
  const sizes = { sizeBytes: vector.length, lanes: lanes.length, trainMillis }
  return { message: { kind: 'report', ...said(), ...place, vector: held.cid, ...sizes }, attached }
}
