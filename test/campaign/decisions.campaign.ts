import { expect, test } from '@jest/globals'
import { chanceOf } from '#sim/chance.ts'
import { askInTrouble } from '#test/sim/asks.ts'
import { stopAt, stoppedIn } from '#test/sim/owner.ts'

/** How many of each, and from which seed on: a slice in CI, the whole by hand. */
const COUNT = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 600) / 4)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 40_000)

test(`${COUNT} questions from seed ${FIRST} on: each is answered once, or not, and never by rows that no sites have`, async () => {
  let answered = 0
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) if (await askInTrouble(seed)) answered++
  expect(answered).toBeGreaterThan(COUNT / 2)
  process.stdout.write(`asks campaign: ${COUNT} questions, ${answered} answered\n`)
}, 3_600_000)

test(`${COUNT} runs from seed ${FIRST} on that are stopped at any moment: each is over by itself, and what was not earned is given back`, async () => {
  const phases: Record<string, number> = {}
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const at = 2200 + Math.floor(5600 * chanceOf(seed)('stop')())
    for (const phase of stoppedIn(await stopAt(seed, at))) phases[phase] = (phases[phase] ?? 0) + 1
  }
  expect(Object.keys(phases).length).toBeGreaterThan(2)
  process.stdout.write(`owner campaign: ${COUNT} runs, stopped in ${JSON.stringify(phases)}\n`)
}, 3_600_000)
