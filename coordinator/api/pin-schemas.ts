import { z } from 'zod'
import {
  PIN_ADDRESSES_MAX,
  PIN_CID_CHARS_MAX,
  PIN_CIDS_MAX,
  PIN_NAME_CHARS_MAX,
  PIN_NOTES_MAX,
  PIN_PAGE,
  PIN_PAGE_MAX,
} from '#protocol/pinning.ts'
import { pinFields } from '../pins.ts'
import { PIN, PIN_STATUS } from './examples.ts'
import { instant, listOf } from './query.ts'

/** The shapes of the IPFS Pinning Service API 1.0.0, under the names that it gives them. */

const statusField = z.enum(['queued', 'pinning', 'pinned', 'failed']).meta({ id: 'Status' })
const matchField = z.enum(['exact', 'iexact', 'partial', 'ipartial']).meta({ id: 'TextMatchingStrategy' })
const metaField = pinFields.meta
  .refine((notes) => Object.keys(notes).length <= PIN_NOTES_MAX, `at most ${PIN_NOTES_MAX} of them`)
  .meta({ id: 'PinMeta' })

export const pinBody = z
  .object({
    cid: pinFields.cid,
    name: pinFields.name.optional().meta({ description: 'for people; kept as it is' }),
    origins: pinFields.origins
      .meta({ id: 'Origins', description: 'multiaddrs of peers that have the blocks' })
      .optional(),
    meta: metaField.optional(),
  })
  .meta({ id: 'Pin', examples: [PIN] })

export const pinStatusView = z
  .object({
    requestid: z.string(),
    status: statusField,
    created: z.iso.datetime().meta({ description: 'no two pins share it, so that pages go by it' }),
    pin: pinBody,
    delegates: z.array(z.string()).min(1).max(PIN_ADDRESSES_MAX).meta({ id: 'Delegates' }),
    info: z.record(z.string(), z.string()).meta({ id: 'StatusInfo' }).optional(),
  })
  .meta({ id: 'PinStatus', examples: [PIN_STATUS] })

export const pinResultsView = z
  .object({
    count: z.int().min(0).meta({ description: 'how many there are, of which the newest are in results' }),
    results: z.array(pinStatusView).max(PIN_PAGE_MAX),
  })
  .meta({ id: 'PinResults', examples: [{ count: 1, results: [PIN_STATUS] }] })

export const failureView = z
  .object({ error: z.object({ reason: z.string(), details: z.string().optional() }) })
  .meta({ id: 'Failure', examples: [{ error: { reason: 'NOT_FOUND', details: 'there is no pin x' } }] })

const notes = z
  .string()
  .max(16_384)
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.issues.push({ code: 'custom', message: 'is not JSON', input: text })
      return z.NEVER
    }
  })
  .pipe(metaField)

export const pinsQuery = z.object({
  cid: listOf(z.string().max(PIN_CID_CHARS_MAX).pipe(pinFields.cid), PIN_CIDS_MAX).optional(),
  name: z.string().max(PIN_NAME_CHARS_MAX).optional(),
  match: matchField.default('exact'),
  status: listOf(statusField, 4).optional(),
  before: instant.optional(),
  after: instant.optional(),
  limit: z.coerce.number().int().min(1).max(PIN_PAGE_MAX).default(PIN_PAGE),
  meta: notes.optional().meta({ description: 'JSON: pins that have all of these notes' }),
})
