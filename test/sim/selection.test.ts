import { describe, expect, test } from '@jest/globals'
import { readBlock } from '#coordinator/record.ts'
import { decode } from '#protocol/codec.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { seatListSchema } from '#protocol/manifest.ts'
import { readSealed } from '#protocol/sealed.ts'
import { selectionSchema } from '#protocol/selection.ts'
import type { Outcome } from '#sim/cluster.ts'
import { CALM } from '#sim/setting.ts'
import { some, times } from '#test/effort.ts'
import { play } from './play.ts'

const MIXED = { ...CALM, delayMillis: 200, duplication: 0.3 }

/** Of each closed round, the last first: its seats and its draw. */
async function draws({ run, blobs }: Outcome) {
  const found = []
  for (const { manifest: cid } of run.past) {
    if (cid === null) continue
    const sealed = await readSealed(cid, 'round', (block) => blobs.getBlock(block, BLOCK_BYTES_MAX))
    if (!sealed.ok) throw new Error(sealed.refusal)
    const { seats: list, selection } = sealed.value.value
    const seats = await readBlock(blobs, list, seatListSchema)
    const drawn = decode(selectionSchema, await blobs.getBlock(selection, BLOCK_BYTES_MAX), BLOCK_BYTES_MAX)
    if (!drawn.ok) throw new Error(drawn.refusal)
    found.push({ seats, ...drawn.value })
  }
  return found
}

describe('a cluster with fewer seats than nodes', () => {
  test('draws the same cohorts and makes the same model again, in whatever order anything arrives', async () => {
    const cluster = { nodes: 8, seats: 4, rounds: times(4, 6) }
    const calm = await play(cluster)
    for (const seed of some(1, [31, 32])) {
      const mixed = await play({ ...cluster, seed, weather: MIXED })
      expect(mixed.run.model).toBe(calm.run.model)
    }
    const drawn = await draws(calm)
    expect(drawn.map(({ seats }) => seats.length)).toEqual(Array.from({ length: cluster.rounds + 1 }, () => 4))
    expect(new Set(drawn.flatMap(({ seats }) => seats.map(({ node }) => node))).size).toBe(8)
  })

  test('goes on without its stragglers, pays those who were in time, and draws the slow ones less often', async () => {
    const outcome = await play({ nodes: 8, seats: 6, quorum: 3, rounds: 6, slow: { nodes: 2, millis: 3000 } })
    expect(outcome.run.past.every(({ manifest }) => manifest !== null)).toBe(true)
    const slow = new Set(outcome.nodes.slice(0, 2).map(({ signer }) => signer.id))
    const drawn = await draws(outcome)
    const late = drawn.flatMap(({ seats }) => seats.filter(({ reason }) => reason === 'straggler'))
    expect(late.length).toBeGreaterThan(0)
    expect(late.every(({ node }) => slow.has(node))).toBe(true)
    const last = drawn.at(-1)?.candidates ?? []
    const ticketsOf = (isSlow: boolean) =>
      last.filter(({ node }) => slow.has(node) === isSlow).map(({ tickets, passed }) => tickets / (1 + passed))
    expect(Math.max(...ticketsOf(true))).toBeLessThan(Math.min(...ticketsOf(false)))
  })

  test('does the same under masks, where as many as a certificate takes are waited for', async () => {
    const { run } = await play({
      ...{ nodes: 6, seats: 5, quorum: 3, rounds: 2, masking: 'secagg/1' },
      slow: { nodes: 1, millis: 4000 },
    })
    expect(run.past.every(({ manifest }) => manifest !== null)).toBe(true)
  })
})
