import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { fromHex } from '#protocol/bytes.ts'
import { buildVectors } from '#test/vectors/build.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'
import { fileUnder } from './store.ts'

const bundle = readFileSync(join(import.meta.dirname, '../vectors/masked-run.car'))
const { vectors, masked, coordinator } = await buildVectors()

test('the bundle of the published masked run is what the code makes, to the byte', async () => {
  expect(Buffer.compare(bundle, await fileUnder(masked.root, masked.blocks))).toBe(0)
})

test('the bundle of the published masked run is proved, with the figures that are printed', async () => {
  const published = vectors['masked-run']
  const verdict = await verifyBundle(fileOf(bundle), { coordinator, expect: published.root })
  expect(verdict).toMatchObject({
    ...{ ok: true, pinned: true, masking: 'secagg/1', population: 'hospital', model: published.model },
    evaluation: published.finalEvaluation,
    rounds: [
      { reports: 3, vectors: 'recomputed', evaluation: published.evaluation, paid: 1_000_001n },
      { reports: 4, vectors: 'recomputed', model: published.model },
    ],
    checked: { blocks: published.blocks, bytes: expect.any(Number) },
  })
})

test('the printed sum of the masked run is the sum of the printed inputs of who survived, lane by lane', () => {
  const { inputs, sum } = vectors['masked-run']
  const lanesOf = (hex: string) => [...new Uint32Array(fromHex(hex).slice().buffer)]
  const [first = '', , third = '', fourth = ''] = inputs
  const added = lanesOf(first).map(
    (lane, at) => (lane + (lanesOf(third)[at] ?? 0) + (lanesOf(fourth)[at] ?? 0)) % 2 ** 32,
  )
  expect(added).toEqual(lanesOf(sum))
})
