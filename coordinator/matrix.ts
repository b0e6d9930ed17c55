import {
  EVALUATION_LANES,
  HEADER_LANES,
  LOSS_ONE,
  laneReader,
  type Payload,
  payloadIn,
  vectorBytesOf,
  widthOf,
} from '#aggregation/vector.ts'
import { readAbreast } from '#protocol/abreast.ts'
import { collect } from '#protocol/bytes.ts'
import type { Cid, NodeId } from '#protocol/ids.ts'
import { type Evaluation, type SeatRecord, seatListSchema } from '#protocol/manifest.ts'
import type { Purpose } from '#protocol/plan.ts'
import { BlobMissing, type BlobStore } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { readBlock, readRecord } from './record.ts'

/** What a site's rows said of a model: `null` where its vector is kept no more. */
export type SiteEvaluation = { readonly node: NodeId; readonly evaluation: Evaluation | null }

/**
 * The model that a plain round started from, at each site that reported: every vector carries its site's figures, in the four
 * lanes behind its payload, and nothing else of it is read.
 */
export async function siteEvaluations(
  blobs: BlobStore,
  manifest: Cid,
  payload: Payload,
): Promise<readonly SiteEvaluation[]> {
  const { purpose, seats } = await readRecord(blobs, manifest, 'round')
  const reported = (await readBlock(blobs, seats, seatListSchema)).filter(({ update }) => update !== null)
  const read = await readAbreast(reported, async (seat) => accept(await siteEvaluation(blobs, seat, purpose, payload)))
  return read.ok ? read.value : []
}

async function siteEvaluation(
  blobs: BlobStore,
  { node, update }: SeatRecord,
  purpose: Purpose,
  payload: Payload,
): Promise<SiteEvaluation> {
  const { vector } = await readRecord(blobs, update as Cid, 'report')
  const width = widthOf(payloadIn(purpose, payload))
  const [offset, length] = [(HEADER_LANES + width) * 4, EVALUATION_LANES * 4]
  try {
    const bytes = await collect(blobs.get(vector, { offset, length, limitBytes: vectorBytesOf(width) }), length)
    const [rows = 0, correct = 0, high = 0, low = 0] = laneReader()(bytes)
    return { node, evaluation: { rows, correct, lossQ16: high * LOSS_ONE + low } }
  } catch (cause) {
    if (cause instanceof BlobMissing) return { node, evaluation: null }
    throw cause
  }
}
