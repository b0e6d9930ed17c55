import { expect, test } from '@jest/globals'
import { sumUploaded } from '#test/client/large.ts'
import { lyingSession, roughSession } from '#test/client/rough.ts'

/** How many seeds, and from which on: a slice in CI, the whole by hand. */
const SEEDS = Number(process.env['CONSILIUM_SEEDS'] ?? 400)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 20_000)

test(`${SEEDS} sessions of real nodes from ${FIRST} on: none is summed wrongly, none says a thing twice, none gives both secrets`, async () => {
  const seen = { exact: 0, 'too-few': 0, lied: 0, masked: 0, confirmed: 0, unmasked: 0 }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    if (seed % 4 === 0) seen[await roughSession(seed)]++
    else {
      const { inputs, confirms, unmasks } = await lyingSession(seed)
      seen.lied++
      seen.masked += inputs
      seen.confirmed += confirms
      seen.unmasked += unmasks
    }
  }
  expect(seen.exact).toBeGreaterThan(0)
  expect(seen.unmasked).toBeGreaterThan(0)
  process.stdout.write(`members campaign: ${SEEDS} seeds, ${JSON.stringify(seen)}\n`)
}, 3_600_000)

test('vectors of more than a block are uploaded and summed exactly', async () => {
  await sumUploaded(300_000)
})
