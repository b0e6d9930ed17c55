import { join } from 'node:path'
import { test } from '@jest/globals'
import { expectFlat, type Held, heldBy } from '#test/client/held.ts'

const TURNS = 1000
const [client, coordinator] = ['client', 'coordinator'].map((room) => join(import.meta.dirname, '..', room)) as [
  string,
  string,
]

function print(what: string, held: readonly Held[]): void {
  const mib = (bytes = 0) => (bytes / 2 ** 20).toFixed(1)
  const [half, last] = [held[held.length / 2], held.at(-1)]
  process.stdout.write(
    `${what}: ${last?.tensors} tensors; heap ${mib(half?.heapBytes)} MiB half-way, ${mib(last?.heapBytes)} at the end; ` +
      `outside it ${mib(half?.externalBytes)}, ${mib(last?.externalBytes)}; ` +
      `resident ${mib(half?.residentBytes)}, ${mib(last?.residentBytes)}\n`,
  )
}

test.each(['wasm', 'cpu'])(
  `${TURNS} fits leave nothing behind (%s)`,
  async (backend) => {
    const held = await heldBy(join(client, 'trainers/growth-process.ts'), TURNS, backend)
    print(`${TURNS} fits on ${backend}`, held)
    expectFlat(held, { heapBytes: 1024, externalBytes: 1024, residentBytes: 4096 })
  },
  600_000,
)

/**
 * A node remembers blocks, up to 8 MiB, and 4,096 receipts: some 3 KB a round until that is full, after some thousands of
 * rounds. What is held besides may be 1 KB a round, and of resident memory 5. A block is a small part of a pool of 64 KiB where
 * it was made: one that is remembered without a copy of its own shows as 12 KB a round outside the heap.
 */
test(`${TURNS} rounds of a node leave nothing behind but what it is to remember`, async () => {
  const held = await heldBy(join(client, 'rounds-process.ts'), TURNS, 'wasm')
  print(`${TURNS} rounds`, held)
  expectFlat(held, { heapBytes: 4096, externalBytes: 2048, residentBytes: 8192 })
}, 600_000)

/**
 * Of each round a coordinator keeps what was decided and paid, some 2 KB; and what it said and read of the last ones, which
 * in masked rounds fills up for some seventy of them, and code is being compiled meanwhile: the half that counts begins
 * behind that. Its threads collect their garbage when they like: of resident memory only what is as large as a pool shows.
 */
test.each([
  { masking: 'none', rounds: 200, most: { heapBytes: 16_384, externalBytes: 4096, residentBytes: 65_536 } },
  { masking: 'secagg/1', rounds: 160, most: { heapBytes: 65_536, externalBytes: 16_384, residentBytes: 262_144 } },
])(
  '$rounds rounds of a coordinator leave nothing behind but what was decided ($masking)',
  async ({ masking, rounds, most }) => {
    const held = await heldBy(join(coordinator, 'rounds-process.ts'), rounds, masking)
    print(`${rounds} rounds of a coordinator, masking ${masking}`, held)
    expectFlat(held, most)
  },
  600_000,
)
