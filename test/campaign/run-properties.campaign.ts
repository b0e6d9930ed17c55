import { runProperties } from '#test/coordinator/run-properties.ts'

/** Histories, in hundredths of what every property is tried on: a slice in CI, more by hand. */
runProperties(Number(process.env['CONSILIUM_SEEDS'] ?? 1000))
