import { expect, test } from '@jest/globals'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { TOY_ARCHITECTURE, TOY_TASK } from '#sim/toy.ts'
import { live } from './live.ts'
import { takePart } from './taking-part.ts'

/** Four weights a unit, and a bias: more than a block. */
const LARGE = {
  ...TOY_ARCHITECTURE,
  layers: [
    { layer: 'dense', name: 'hidden', units: BLOCK_BYTES_MAX / 16 + 1, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

test('members of a run that withholds vectors larger than a block redo its rounds, each with its own ticket', async () => {
  await using server = await live()
  const taking = [0, 1, 2].map((site) => takePart(server, site))
  const timing = {
    ...{ selectionMillis: 5000, keysMillis: 10_000, reportingMillis: 20_000, consistencyMillis: 5000 },
    ...{ unmaskingMillis: 5000, aggregationMillis: 20_000, settlementMillis: 5000 },
  }
  await server.launch({
    ...{ task: { ...TOY_TASK, architecture: LARGE }, timing, masking: 'secagg/1' },
    secure: { suite: 1, corrupt: 1, publish: 'commit-only' },
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
}, 60_000)
