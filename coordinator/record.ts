import type { z } from 'zod'
import { scoringOf } from '#aggregation/metrics/scoring.ts'
import { quantiserOf } from '#aggregation/quantise.ts'
import { payloadOf } from '#aggregation/statistics/lanes.ts'
import type { Payload } from '#aggregation/vector.ts'
import { decodeWeights } from '#aggregation/weights.ts'
import { type Shape, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { assert } from '#protocol/assert.ts'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { decode, encode } from '#protocol/codec.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, PARAMETERS_MAX } from '#protocol/limits.ts'
import { type ModelManifest, modelSchema } from '#protocol/manifest.ts'
import type { Quantiser } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { readSealed, type Sealed, type SealedType } from '#protocol/sealed.ts'
import { isQuestion, type Subject, subjectSchema } from '#protocol/subject.ts'
import type { RunSpec } from './run-spec.ts'

/**
 * The run's record in the blob store, as the coordinator itself wrote it. What cannot be read here is a fault of the
 * world (a lost or broken disk), never of a peer: it throws, and the queue tries again.
 */
export async function readBlock<S extends z.ZodType>(blobs: BlobStore, cid: Cid, schema: S): Promise<z.output<S>> {
  const value = decode(schema, await blobs.getBlock(cid, BLOCK_BYTES_MAX), BLOCK_BYTES_MAX)
  if (!value.ok) throw new Error(`${cid} cannot be read: ${value.refusal} ${value.detail ?? ''}`)
  return value.value
}

/** The same of what is sealed. */
export async function readRecord<T extends SealedType>(blobs: BlobStore, cid: Cid, type: T): Promise<Sealed<T>> {
  const sealed = await readSealed(cid, type, (block) => blobs.getBlock(block, BLOCK_BYTES_MAX))
  if (!sealed.ok) throw new Error(`the ${type} ${cid} cannot be read: ${sealed.refusal}`)
  return sealed.value.value
}

/** What a run is about, and what that makes of its vectors. */
export type Ordered = {
  readonly subject: Subject
  readonly quantiser: Quantiser
  /** Of an update, or of an answer. */
  readonly payload: Payload
}

export async function orderOf(blobs: BlobStore, spec: RunSpec): Promise<Ordered> {
  const subject = await readBlock(blobs, spec.task, subjectSchema)
  const quantiser = quantiserOf(subject, spec)
  if (isQuestion(subject)) return { subject, quantiser, payload: payloadOf(subject, quantiser) }
  const { trained, moving } = await shapeAt(blobs, subject.architecture)
  return { subject, quantiser, payload: { parameters: trained, moving, scores: scoringOf(subject) } }
}

/** A manifest as a block, to be kept together with others. */
export function blockOf<S extends z.ZodType>(schema: S, value: z.output<S>): Block {
  const bytes = encode(schema, value)
  assert(bytes.length <= BLOCK_BYTES_MAX, 'a manifest is one block')
  return { cid: cidOf(DAG_CBOR, bytes), bytes }
}

/** Bytes as a file: of one block, to be kept together with others, or kept at once when they are more. */
export async function fileOf(
  blobs: BlobStore,
  bytes: Bytes,
): Promise<{ readonly cid: Cid; readonly blocks: readonly Block[] }> {
  if (bytes.length > BLOCK_BYTES_MAX) return { cid: await blobs.put(once(bytes), bytes.length), blocks: [] }
  const block = { cid: cidOf(RAW, bytes), bytes }
  return { cid: block.cid, blocks: [block] }
}

export async function readFloats(blobs: BlobStore, cid: Cid, length: number): Promise<Float32Array> {
  const bytes = await collect(blobs.get(cid, { limitBytes: length * 4 }), length * 4)
  const weights = decodeWeights(bytes, length)
  if (!weights.ok) throw new Error(`${cid} is not ${length} finite float32: ${weights.refusal}`)
  return weights.value
}

/** A model and its weights. */
export async function readModel(
  blobs: BlobStore,
  cid: Cid,
): Promise<{ readonly manifest: ModelManifest; readonly weights: Float32Array }> {
  const manifest = await readBlock(blobs, cid, modelSchema)
  const { parameters } = await shapeAt(blobs, manifest.architecture)
  return { manifest, weights: await readFloats(blobs, manifest.weights, parameters) }
}

async function shapeAt(blobs: BlobStore, architecture: Cid): Promise<Shape> {
  const shape = shapeOf(await readBlock(blobs, architecture, architectureSchema))
  assert(shape.ok && shape.value.parameters <= PARAMETERS_MAX, 'an architecture is checked before its run is made')
  return shape.value
}
