import { test } from '@jest/globals'
import { fuzz } from '#test/coordinator/api-fuzz.ts'

/** How many seeds, and from which on: a slice in CI, the whole by hand. */
const SEEDS = Number(process.env['CONSILIUM_SEEDS'] ?? 60)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 1)

test(`${SEEDS} seeds from ${FIRST} on, of 10 requests to each operation: no fault, no leak, and nothing changed by what was refused`, async () => {
  const seen: Record<string, number> = {}
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++)
    for (const [status, times] of Object.entries(await fuzz(seed, 10))) seen[status] = (seen[status] ?? 0) + times
  process.stdout.write(`api-fuzz campaign: ${SEEDS} seeds, ${JSON.stringify(seen)}\n`)
}, 3_600_000)
