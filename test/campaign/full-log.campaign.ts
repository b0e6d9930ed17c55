import { expect } from '@jest/globals'
import { testWithMounts } from './mounts.ts'

/** How often all changes are made, one time for forty seeds of a simulation. */
const ROUNDS = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 200) / 40)

testWithMounts(
  'a disk that is full before every change, under two processes: what is refused is not there, and what is there stays',
  'full-log.ts',
  [String(ROUNDS)],
  (printed) => {
    const said = JSON.parse(printed || '{}') as { readonly rounds?: number; readonly refused?: number }
    process.stdout.write(`full log campaign: ${JSON.stringify(said)}\n`)
    expect(said.rounds).toBe(ROUNDS)
    expect(said.refused).toBeGreaterThan(ROUNDS)
  },
  600_000,
)
