import { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import { amountField, cidField, count, decode, encode, millisField, reasonField } from '#protocol/codec.ts'
import { type Extension, extensionSchema } from '#protocol/extension.ts'
import type { Bytes } from '#protocol/ids.ts'
import { COHORT_MAX, EVENT_BYTES_MAX, EXTENSIONS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { purposeField } from '#protocol/plan.ts'
import { onceField } from './once.ts'
import { roundEvents } from './round/events.ts'
import { runSpecSchema } from './run-spec.ts'

/** @see Extension. A repeat of the API request that made it is the same one. */
const extendedFields = {
  rounds: extensionSchema.shape.rounds,
  budget: extensionSchema.shape.budget,
  once: onceField.nullable(),
}

/** Everything that one run's log stream can hold: the events of its rounds and those here, in the past tense. */
const runEvents = [
  z.strictObject({ kind: z.literal('created'), at: millisField, spec: runSpecSchema }),
  /** The budget is reserved: the order's, or that of an extension, the first of which is 1. */
  z.strictObject({ kind: z.literal('held'), at: millisField, extension: count(EXTENSIONS_MAX, 1).optional() }),
  /** A round opened under a stored, sealed plan, with so many nodes invited. */
  z.strictObject({
    kind: z.literal('opened'),
    at: millisField,
    round: count(ROUNDS_MAX, 1),
    plan: cidField,
    /** Of that plan, which may be of before the run was extended; earlier versions left it out. */
    purpose: purposeField.optional(),
    invited: count(COHORT_MAX),
  }),
  /** What became of an aborted round is sealed. */
  z.strictObject({ kind: z.literal('recounted'), at: millisField, round: count(ROUNDS_MAX, 1), record: cidField }),
  /** Its owner wants no round to open any more, until it is resumed. */
  z.strictObject({ kind: z.literal('paused'), at: millisField, reason: reasonField }),
  /** Its owner adds training rounds, with a budget for them. */
  z.strictObject({ kind: z.literal('extended'), at: millisField, ...extendedFields }),
  /** Its owner lets a paused run go on. */
  z.strictObject({ kind: z.literal('resumed'), at: millisField }),
  /** Its owner ends the run before it is done. */
  z.strictObject({ kind: z.literal('stopped'), at: millisField, reason: reasonField }),
  /** The run's record is sealed and whole. */
  z.strictObject({
    kind: z.literal('finished'),
    at: millisField,
    manifest: cidField,
    paid: amountField,
    released: amountField,
    reason: reasonField.nullable(),
  }),
  /** The vectors of its rounds up to this one are kept no longer. What names them stays. */
  z.strictObject({ kind: z.literal('expired'), at: millisField, through: count(ROUNDS_MAX, 1) }),
  /** They are deleted here, but for those that something else needs. */
  z.strictObject({ kind: z.literal('cleared'), at: millisField, through: count(ROUNDS_MAX, 1) }),
] as const

const runEventSchema = z.discriminatedUnion('kind', [...runEvents, ...roundEvents])
export type Extended = Extension & Pick<Extract<RunEvent, { kind: 'extended' }>, 'once'>
export type RunEvent = z.output<typeof runEventSchema>

export function encodeEvent(event: RunEvent): Bytes {
  const bytes = encode(runEventSchema, event)
  assert(bytes.length <= EVENT_BYTES_MAX, 'an event is at most 4 KiB')
  return bytes
}

/** Throws on an entry that this version cannot read: the log is ours, and guessing would invent history. */
export function decodeEvent(entry: Bytes): RunEvent {
  const event = decode(runEventSchema, entry, EVENT_BYTES_MAX)
  if (!event.ok) throw new Error(`the log holds an entry that cannot be read: ${event.refusal} ${event.detail ?? ''}`)
  return event.value
}
