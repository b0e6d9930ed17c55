import { z } from 'zod'
import { count, millisField } from './codec.ts'
import type { Millis } from './ids.ts'
import { NAME_CHARS_MAX } from './limits.ts'
import { populationField } from './plan.ts'
import { REFERENCE_MODEL_NAMES, referenceModelField } from './reference-models.ts'

/** What a node says that it trains on, and how fast. It is the node's word: a spot check is what tests it. */

/** Printable ASCII: drivers and vendors write what they like, and it is shown on terminals. */
const printable = (max: number) => z.string().regex(new RegExp(`^[ -~]{0,${max}}$`))

/** Samples a second, in thousandths: a billion a second is more than any device trains. */
export const speedField = count(1_000_000_000_000)

export const measuredSpeedSchema = z.strictObject({
  model: referenceModelField,
  milliSamplesPerSecond: speedField,
  /** By the node's own clock. */
  measuredAt: millisField,
})

export const capabilityFields = {
  backend: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  /** What the backend runs on, as its driver calls it; empty where it has no name. */
  adapter: printable(NAME_CHARS_MAX),
  /** A graphics interface that a processor imitates. */
  software: z.boolean(),
  /** Whether the same training gives the same bits. */
  deterministic: z.boolean(),
  /** Memory that it lends to one task. */
  memoryBytes: count(Number.MAX_SAFE_INTEGER),
  version: printable(32),
  population: populationField,
  /** Each model once, in the order of {@link REFERENCE_MODEL_NAMES}; those that it cannot train are left out. */
  speeds: z
    .array(measuredSpeedSchema)
    .max(REFERENCE_MODEL_NAMES.length)
    .refine(
      (speeds) => isAscending(speeds.map(({ model }) => REFERENCE_MODEL_NAMES.indexOf(model))),
      'each once, in order',
    )
    .readonly(),
} as const

export const capabilitySchema = z.strictObject(capabilityFields)
export type Capability = z.output<typeof capabilitySchema>
export type MeasuredSpeed = z.output<typeof measuredSpeedSchema>

/** A node measures itself again after this, or when what it trains on is another. */
export const MEASURED_MILLIS_MAX: Millis = 86_400_000
/** Between two reports of one node that say something new: an earlier one is refused, and may be said again. */
export const CAPABILITY_MILLIS_MIN: Millis = 600_000
/** A report that was not followed by a newer one for so long says nothing any more. */
export const CAPABILITY_MILLIS_MAX: Millis = 3 * 86_400_000

function isAscending(places: readonly number[]): boolean {
  return places.every((place, index) => index === 0 || place > (places[index - 1] as number))
}
