import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { TOY_ARCHITECTURE, TOY_TASK } from '#sim/toy.ts'
import { LiveSite } from '#test/live-site.ts'
import { type Live, live } from './live.ts'

/** Four weights a unit, and a bias: more than a block. */
const LARGE = {
  ...TOY_ARCHITECTURE,
  layers: [
    { layer: 'dense', name: 'hidden', units: BLOCK_BYTES_MAX / 16 + 1, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

/** Blocks of a store that are files: those of more than 64 KiB, as the leaves of a vector are. */
async function filesOf({ state }: Live, store: string): Promise<readonly string[]> {
  const files = await readdir(join(state, store, 'blocks'), { recursive: true, withFileTypes: true })
  return files.filter((file) => file.isFile()).map(({ name }) => name)
}

test('hospitals that are asked nothing else withhold their vectors: members redo the rounds, each with its own ticket, and no block of a vector is ever in the public store', async () => {
  await using server = await live()
  const { url, id: key } = server.coordinator
  const taking = LiveSite.toys(3, 'hospital').map((site) => site.takePart({ url, key }, 2))
  const timing = {
    ...{ selectionMillis: 5000, keysMillis: 10_000, reportingMillis: 20_000, consistencyMillis: 5000 },
    ...{ unmaskingMillis: 5000, aggregationMillis: 20_000, settlementMillis: 5000 },
  }
  await server.launch({
    ...{ task: { ...TOY_TASK, architecture: LARGE }, timing, population: 'hospital' },
    secure: { suite: 1, corrupt: 1 },
    cohort: { min: 3, max: 3, quorum: 3 },
  })
  for (const told of await Promise.all(taking)) {
    const second = told.filter(({ round }) => round === 2)
    // Keys are agreed on and rounds redone at the same time.
    expect(second.map(({ kind }) => kind).filter((kind) => kind !== 'agreed')).toEqual([
      ...['joined', 'seated', 'recomputed', 'masked', 'reported', 'confirmed', 'unmasked', 'ended'],
    ])
    expect(second.at(-1)).toMatchObject({ outcome: 'closed' })
  }
  // Nothing is deleted from either store before its time, so that this is all there ever was.
  const [open, withheld] = [new Set(await filesOf(server, 'blobs')), await filesOf(server, 'withheld')]
  expect(withheld.length).toBeGreaterThanOrEqual(3)
  expect(withheld.filter((name) => open.has(name))).toEqual([])
  for (const name of withheld) {
    const answer = await fetch(`${url}/ipfs/${name}?format=raw`)
    expect(answer.status).toBe(404)
  }
}, 60_000)
