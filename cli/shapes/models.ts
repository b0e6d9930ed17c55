import { z } from 'zod'
import { text } from '#coordinator/api/schemas.ts'

/** What is printed of models. */
const cid = text('a CIDv1')

export const pulledShape = z.object({
  files: z.array(z.string()),
  model: cid,
  record: cid,
  coordinator: text('z6Mk…, who signed the record'),
  pinned: z.boolean(),
  parameters: z.int(),
  bytes: z.int().meta({ description: 'of weights' }),
})

export const cardShape = z.object({ run: z.string(), card: text('Markdown') })

const distance = z.object({
  name: z.string(),
  norm_a: z.number(),
  norm_b: z.number(),
  distance: z.number(),
  cosine: z.number().nullable(),
})
export const modelDiffShape = z.object({ same: z.boolean(), a: cid, b: cid, tensors: z.array(distance), all: distance })
