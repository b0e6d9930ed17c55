import { expect } from '@jest/globals'
import { decodeLanes, type RingVector } from '#aggregation/vector.ts'
import { type Assignment, readAssignment } from '#client/assignment.ts'
import { type TrainingDoors, train } from '#client/training.ts'
import { collect } from '#protocol/bytes.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { readSealed } from '#protocol/sealed.ts'
import type { Outcome } from '#sim/cluster.ts'
import { must } from '#test/aggregation/given.ts'

/**
 * What no coordinator and no verifier can do: adds up the plain vectors of whoever a round's record counts, here where all
 * trainers and their secrets are known, and compares the sum lane by lane with the one that came out of the masks.
 */
export async function expectPlainSums({ run, coordinator, nodes, blobs }: Outcome): Promise<void> {
  const block = (cid: Parameters<typeof blobs.getBlock>[0]) => blobs.getBlock(cid, BLOCK_BYTES_MAX)
  for (const { manifest } of run.past) {
    if (manifest === null) continue
    const { value: round } = must(await readSealed(manifest, 'round', block))
    const assignment = must(await readAssignment(blobs, coordinator, round.plan))
    const counted = round.seats.filter(({ update }) => update !== null)
    let sum: RingVector | undefined
    for (const { node } of counted) {
      const site = nodes.find(({ signer }) => signer.id === node)
      if (!site) throw new Error(`${node} is no site of this cluster`)
      const lanes = await plainLanes(site, assignment)
      // Unsigned wrap-around is the arithmetic, not an overflow.
      sum = sum ? sum.map((value, lane) => value + (lanes[lane] as number)) : lanes
    }
    const bytes = await collect(blobs.get(round.aggregate, { limitBytes: BLOCK_BYTES_MAX }), BLOCK_BYTES_MAX)
    expect(decodeLanes(bytes)).toEqual(sum)
  }
}

/** What a node's vector is before it is masked. */
export async function plainLanes(
  { trainer, secret }: Pick<TrainingDoors, 'trainer' | 'secret'>,
  assignment: Assignment,
): Promise<RingVector> {
  if (assignment.kind !== 'training') throw new Error('a question is not trained on')
  const doors = { trainer, secret, withholdsEvaluation: false }
  return must(await train(doors, assignment, new AbortController().signal, () => undefined)).lanes
}
