import { encodeLanes } from '#aggregation/vector.ts'
import { type Block, isAttachable } from '#protocol/envelope.ts'
import { holdFile } from '#protocol/held-file.ts'
import type { Cid } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import type { RemoteStore } from '#protocol/ports.ts'
import type { Place } from './seat.ts'
import type { Trained } from './submission.ts'
import type { Unaddressed } from './voice.ts'

type Report = Unaddressed<Extract<ClientMessage, { kind: 'report' }>>
/** Whose report it is, and of what. */
type Reporting = Place & {
  readonly seat: number
  readonly plan: Cid
  /** That was trained on. */
  readonly model: Cid
}

/**
 * What was trained, as a plain round's report. A small vector travels with it; a large one goes ahead, under the seat's
 * ticket. After a restart the same is trained again, so that only what did not come through is sent again.
 */
export async function reportOf(
  place: Reporting,
  { lanes, trainMillis }: Trained,
  blobs: RemoteStore,
  signal: AbortSignal,
): Promise<{ readonly message: Report; readonly attached: readonly Block[] }> {
  const vector = encodeLanes(lanes)
  const held = holdFile(vector)
  const attached = isAttachable(vector.length) ? [{ cid: held.cid, bytes: vector }] : []
  if (attached.length === 0) await blobs.send(held, held.cid, signal)
  const sizes = { sizeBytes: vector.length, lanes: lanes.length, trainMillis }
  return { message: { kind: 'report', ...place, vector: held.cid, ...sizes }, attached }
}
