import { expect } from '@jest/globals'
import { encodeLanes } from '#aggregation/vector.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { Host } from './host.ts'
import { unmasked } from './stages.ts'
import { plainSum, unmaskedSum } from './vectors.ts'

/** A model of so many parameters and one more. */
export function inputs(count: number): Architecture {
  return { v: 1, input: [count], layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }] }
}

/** A session over so large a model that its vectors are uploaded: each once, beside its message, and their sum is exact. */
export async function sumUploaded(count: number): Promise<void> {
  const host = new Host(4, { architecture: inputs(count) })
  const { roster, shared, survivors, certificate } = await unmasked(host)
  for (const { uploads, attached } of host.nodes) {
    expect(uploads).toHaveLength(1)
    expect(attached).not.toContain(uploads[0])
  }
  const sum = await unmaskedSum(host, roster, shared, survivors, certificate)
  expect(equalBytes(encodeLanes(sum), encodeLanes(await plainSum(host, host.seats)))).toBe(true)
}
