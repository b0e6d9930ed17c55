import { expect } from '@jest/globals'
import { testWithMounts } from './mounts.ts'

/** How many runs, one for twenty seeds of a simulation, and from which seed on. */
const RUNS = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 200) / 20)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 60_000)

testWithMounts(
  `${RUNS} runs from seed ${FIRST} on, on a disk that is full again and again: each waits and goes on, and nothing is lost`,
  'full-disk.ts',
  [String(FIRST), String(RUNS)],
  (said) => {
    expect(JSON.parse(said || '{}')).toMatchObject({ runs: RUNS, completed: RUNS, compared: RUNS, aborted: {} })
    process.stdout.write(`disk campaign: ${said}`)
  },
  3_600_000,
)
