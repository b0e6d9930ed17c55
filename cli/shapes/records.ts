import { z } from 'zod'
import { figuresView } from '#coordinator/api/run-views.ts'
import { text } from '#coordinator/api/schemas.ts'
import { originView } from '#coordinator/api/stop-when.ts'
import { maskingField, populationField, purposeField } from '#protocol/plan.ts'
import { answerShape } from './answer.ts'

/** What is printed of records, and of verifying them. */
const cid = text('a CIDv1')
const amount = text('micro-credits, as a decimal text')
const kindField = z.enum(['run', 'round', 'aborted', 'other'])

const evaluationShape = z
  .object({
    rows: z.int().nullable().meta({ description: 'held-out rows of all sites; null under masks' }),
    sites: z.int().nullable().meta({ description: 'under masks: sites, each of which counts alike; else null' }),
    correct: z.int().nullable(),
    accuracy: z.number().nullable(),
    loss: z.number().nullable(),
    figures: figuresView.optional(),
  })
  .nullable()

const roundShape = z.object({
  round: z.int(),
  purpose: purposeField,
  outcome: z.enum(['closed', 'aborted']),
  reports: z.int(),
  vectors: z.enum(['recomputed', 'committed', 'expired']).nullable().meta({
    description: 'recomputed: added up again; else the sum is as the coordinator signed it; null where there is none',
  }),
  evaluation: evaluationShape,
  model: cid,
  reason: z.string().nullable(),
})

const provenFields = {
  ok: z.literal(true),
  pinned: z.boolean().meta({ description: 'the caller named who must have signed it, or its CID' }),
  root: cid,
  run: z.string(),
  coordinator: text('z6Mk…'),
  population: populationField,
  masking: maskingField,
  task: z.object({ cid, name: z.string() }),
  nodes: z.array(z.string()),
  answer: answerShape.nullable().meta({ description: 'of a question, as recomputed' }),
  checked: z.object({ blocks: z.int(), bytes: z.int(), signatures: z.int() }),
}

/** `consilium verify` */
export const verdictShape = z.union([
  z.object({
    kind: z.literal('run'),
    ...provenFields,
    outcome: z.enum(['completed', 'failed', 'stopped']),
    reason: z.string().nullable(),
    origin: originView.nullable(),
    planned: z.int(),
    rounds: z.array(roundShape.extend({ paid: amount })),
    model: cid,
    evaluation: evaluationShape,
    accuracy: z.number().nullable(),
    ledger: z.object({ budget: amount, paid: amount, released: amount }),
  }),
  z.object({
    kind: z.literal('round'),
    ...provenFields,
    start: z.union([
      z.object({ kind: z.literal('genesis'), model: cid }),
      z.object({ kind: z.literal('as-the-parent-says'), parent: cid, round: z.int(), model: cid }),
    ]),
    round: roundShape,
  }),
  z.object({
    ok: z.literal(false),
    step: text('the first step that does not hold; names are stable'),
    round: z.int().nullable(),
    detail: z.string(),
  }),
])

const bundleFields = {
  root: cid,
  kind: kindField,
  vectors: z.boolean().meta({ description: 'whether the vectors that its updates name are in it' }),
}
const counted = { blocks: z.int(), bytes: z.int() }

export const exportedShape = z.object({ file: z.string(), ...bundleFields, ...counted })
export const importedShape = z.object({ ...bundleFields, ...counted, into: z.string() })

const difference = z.object({ what: z.string(), a: z.string().nullable(), b: z.string().nullable() })
export const bundlesDiffShape = z.object({
  same: z.boolean(),
  a: z.object(bundleFields),
  b: z.object(bundleFields),
  differences: z.array(difference),
  only: z.object({ a: z.object(counted), b: z.object(counted) }),
})

export const bundleShape = z.object({
  ...bundleFields,
  ...counted,
  run: z.string().optional(),
  coordinator: z.string().optional(),
  outcome: z.string().optional(),
  rounds: z.int().optional(),
  model: cid.optional(),
  round: z.int().optional(),
  purpose: purposeField.optional(),
  unreadable: z.string().optional().meta({ description: 'why its root cannot be read' }),
  piece: z.string().optional().meta({ description: 'with --piece: its piece CID' }),
  comm_p: z.string().optional(),
  padded_bytes: z.string().optional(),
})

/** `consilium receipt show` */
export const receiptShape = z.object({
  receipt: cid,
  run: z.string(),
  round: z.int(),
  seat: z.int(),
  node: z.string(),
  update: cid,
  manifest: cid,
  amount,
  signed_by: z.string(),
  pinned: z.boolean(),
})

export const auditVerifiedShape = z.object({
  entries: z.int(),
  head: z.object({ seq: z.int(), hash: z.string() }).nullable(),
  linked_from: z.int().nullable().meta({ description: 'the first entry that names the one before it' }),
})
