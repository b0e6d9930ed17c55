import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { assert } from '#protocol/assert.ts'
import { parseCid } from '#protocol/cid.ts'
import { decode } from '#protocol/codec.ts'
import { type AddressedModel, FORMATS, MODEL_FORMATS, modelFile } from '#protocol/formats/model-file.ts'
import type { Bytes, Cid, Round } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { type ModelManifest, modelSchema } from '#protocol/manifest.ts'
import { BlobMissing, type BlobStore } from '#protocol/ports.ts'
import { readBlock } from '../record.ts'
import type { Run } from '../run.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { MODEL } from './model-examples.ts'
import { inTime, notFound, Problem } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { taskParams } from './tasks.ts'
import { runsFor } from './tenancy.ts'

/** Runs that are looked through for who made a model: the newest. */
const LINEAGE_RUNS_MAX = 256

const lineageView = z.object({
  run: z.string(),
  round: z.int().meta({ description: 'the training round that made it; 0 where the run starts from it' }),
  manifest: z.string().nullable().meta({ description: 'the sealed manifest of that round' }),
})

export const modelView = z
  .object({
    model: z.string(),
    architecture: z.string(),
    weights: z.string().meta({ description: 'the file of all tensors, float32 little-endian, under /ipfs' }),
    size_bytes: z.int(),
    parameters: z.int(),
    trained: z.int(),
    input: z.array(z.int()),
    output: z.array(z.int()),
    tensors: z.array(
      z.object({ name: z.string(), shape: z.array(z.int()), role: z.enum(['trainable', 'moving', 'frozen']) }),
    ),
    lineage: z
      .array(lineageView)
      .meta({ description: `where it came from, as far as the newest ${LINEAGE_RUNS_MAX} runs tell` }),
  })
  .meta({ id: 'Model', examples: [MODEL] })

/** Models as files and as what they are. Their bytes are anybody's by their CID; what is here says which CID that is. */
export function modelRoutes(routes: Routes, doors: ApiDoors): void {
  routes.get(
    '/v1/runs/:id/model',
    {
      config: { scope: 'models:read' },
      // To say how long it is, the whole file would have to be made.
      exposeHeadRoute: false,
      schema: {
        summary: "A run's model as a file",
        description:
          'The last one, or that of a round. One model is one file in each format, so ETag is its CID. What tfjs has no layer for is refused (422, no_counterpart).',
        produces: ['application/octet-stream', 'application/zip'],
        params: runParams,
        querystring: z.object({
          format: z.enum(MODEL_FORMATS).default('safetensors').meta({
            description: 'tfjs: a ZIP of model.json and its weights; raw: the weights file as it is addressed',
          }),
          round: z.coerce.number().int().min(0).max(ROUNDS_MAX).optional().meta({
            description: 'a training round that has closed; 0 is the model that training starts from',
          }),
        }),
        response: { 200: z.any(), ...problems },
      },
    },
    async (request, reply) => {
      const { format, round } = request.query
      const run = await find(doors, request.caller, request.params.id)
      const cid = await modelOf(doors, run, round)
      const etag = `"${cid}"`
      void reply.header('etag', etag).header('x-consilium-model', cid).header('cache-control', 'private, no-cache')
      if (isKnown(request, etag)) return reply.code(304).send()
      const model = await addressed(doors.blobs, cid)
      const weights = doors.blobs.get(model.manifest.weights, { limitBytes: sizeOf(model) })
      const file = modelFile(format, model, weights)
      if (!file.ok) throw new Problem(422, 'no_counterpart', 'TF.js has no such layer', file.detail ?? file.refusal)
      const name = `${run.spec.run}${round === undefined ? '' : `-round-${round}`}.${FORMATS[format].suffix}`
      return reply
        .type(FORMATS[format].mediaType)
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(Readable.from(file.value, { objectMode: false }))
    },
  )

  routes.get(
    '/v1/models/:cid',
    {
      config: { scope: 'models:read' },
      schema: {
        summary: 'One model: its tensors, and which rounds made it',
        params: taskParams,
        response: { 200: modelView, ...problems },
      },
    },
    async ({ params, caller }) => {
      const cid = parseCid(params.cid)
      const lineage = cid.ok ? await lineageOf(doors, caller, cid.value) : []
      // Whoever is of one federation learns of no other's model, not even that it is here.
      const manifest =
        cid.ok && (lineage.length > 0 || caller.federation === null) && (await read(doors.blobs, cid.value))
      if (!cid.ok || !manifest) throw notFound('model', params.cid.slice(0, 100))
      const architecture = await readBlock(doors.blobs, manifest.architecture, architectureSchema)
      const shape = shapeOf(architecture)
      assert(shape.ok, 'an architecture is checked before a model of it is kept')
      const { parameters, trained, output } = shape.value
      return {
        ...{ model: cid.value, architecture: manifest.architecture, weights: manifest.weights },
        ...{ size_bytes: parameters * 4, parameters, trained, input: [...architecture.input], output: [...output] },
        tensors: manifest.tensors.map(({ name, shape, role }) => ({ name, shape: [...shape], role })),
        lineage,
      }
    },
  )
}

/** @param round of which the model is; the last that has closed where it is none */
export async function modelOf(doors: ApiDoors, run: Run, round: Round | undefined): Promise<Cid> {
  if (run.spec.purpose === 'ask')
    throw new Problem(409, 'no_model', 'A question makes no model', 'its answer is in its record')
  if (round === undefined) return run.model
  if (round === 0) return run.spec.genesis
  const { past, spec } = run
  const over = past[round - 1]
  const aggregated = over?.manifest && (await inTime(doors.clock, doors.curves.of(spec.run)))
  const found = aggregated ? aggregated.find((one) => one.round === round && over.purpose === 'train') : undefined
  if (!found) throw notFound('model', `of round ${round}: ${run.trained} training rounds have closed`)
  return found.model
}

export async function addressed(blobs: BlobStore, cid: Cid): Promise<AddressedModel> {
  const manifest = await readBlock(blobs, cid, modelSchema)
  return { cid, manifest, architecture: await readBlock(blobs, manifest.architecture, architectureSchema) }
}

function sizeOf({ architecture }: AddressedModel): number {
  const shape = shapeOf(architecture)
  assert(shape.ok, 'an architecture is checked before its run is made')
  return shape.value.parameters * 4
}

function isKnown({ headers }: FastifyRequest, etag: string): boolean {
  return (headers['if-none-match'] ?? '').split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
}

async function lineageOf(doors: ApiDoors, caller: Caller, cid: Cid): Promise<z.output<typeof lineageView>[]> {
  const lineage: z.output<typeof lineageView>[] = []
  const runs = runsFor(doors, caller).filter(({ spec }) => spec.purpose === 'train')
  for (const { spec, past } of runs.slice(-LINEAGE_RUNS_MAX)) {
    if (spec.genesis === cid) lineage.push({ run: spec.run, round: 0, manifest: null })
    for (const { round, manifest, model } of await inTime(doors.clock, doors.curves.of(spec.run)))
      if (model === cid && past[round - 1]?.purpose === 'train') lineage.push({ run: spec.run, round, manifest })
  }
  return lineage
}

async function read(blobs: BlobStore, cid: Cid): Promise<ModelManifest | undefined> {
  const bytes: Bytes | undefined = await blobs.getBlock(cid, BLOCK_BYTES_MAX).catch((cause: unknown) => {
    if (cause instanceof BlobMissing) return undefined
    throw cause
  })
  const manifest = bytes && decode(modelSchema, bytes, BLOCK_BYTES_MAX)
  return manifest?.ok ? manifest.value : undefined
}
