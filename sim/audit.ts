import { decodeLanes, type RingVector } from '#aggregation/vector.ts'
import { type Assignment, readAssignment } from '#client/assignment.ts'
import { type TrainingDoors, train } from '#client/training.ts'
import { readBlock } from '#coordinator/record.ts'
import { totalOf } from '#payments/allocate.ts'
import { assert } from '#protocol/assert.ts'
import { collect, equalBytes } from '#protocol/bytes.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { seatListSchema } from '#protocol/manifest.ts'
import { readSealed } from '#protocol/sealed.ts'
import type { Outcome } from './cluster.ts'
import { RUN } from './setting.ts'
import { Violation } from './watch.ts'

/** What must hold of every play that is over: the record verifies, every sum is that of what was trained, money is exact. */
export async function audit(outcome: Outcome): Promise<void> {
  const { verdict } = outcome
  if (!verdict.ok) throw new Violation(`the record fails to verify at ${verdict.step}: ${verdict.detail}`)
  auditMoney(outcome)
  await auditSums(outcome)
}

function auditMoney({ run, verdict, balances }: Outcome): void {
  const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n)
  const paid = sum([...balances].filter(([account]) => account.startsWith('operator:')).map(([, amount]) => amount))
  const claims: readonly (readonly [boolean, string])[] = [
    [paid === run.paid && verdict.ok && verdict.paid === paid, 'what was paid is what the record says'],
    [
      run.paid + run.released === totalOf({ ...run.spec, extensions: run.extensions }).budget,
      'paid and released are the budgets',
    ],
    [sum([...balances.values()]) === 0n, 'the ledger is balanced'],
    [(balances.get(`escrow:${RUN}`) ?? 0n) === 0n, 'nothing is left in escrow'],
  ]
  for (const [holds, claim] of claims) if (!holds) throw new Violation(`not true of the money: ${claim}`)
}

/**
 * What no coordinator and no verifier can do: adds up the plain vectors of whoever a round's record counts, here where all
 * trainers and their secrets are known, and compares the sum lane by lane with the one that came out of the masks.
 */
async function auditSums({ run, coordinator, nodes, blobs }: Outcome): Promise<void> {
  if (run.spec.purpose === 'ask') return
  const block = (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX)
  for (const { manifest } of run.past) {
    if (manifest === null) continue
    const record = await readSealed(manifest, 'round', block)
    assert(record.ok, 'a record that verifies can be read')
    const { plan, aggregate, round } = record.value.value
    const seats = await readBlock(blobs, record.value.value.seats, seatListSchema)
    const assignment = await readAssignment(blobs, coordinator, plan)
    assert(assignment.ok, 'a plan that verifies can be read')
    let sum: RingVector | undefined
    for (const { node } of seats.filter(({ update }) => update !== null)) {
      const site = nodes.find(({ signer }) => signer.id === node)
      if (!site) throw new Violation(`${node} is no site of this cluster`)
      const lanes = await plainLanes(site, assignment.value)
      // Unsigned wrap-around is the arithmetic, not an overflow.
      sum = sum ? sum.map((value, lane) => value + (lanes[lane] as number)) : lanes
    }
    const published = decodeLanes(await collect(blobs.get(aggregate, { limitBytes: BLOCK_BYTES_MAX }), BLOCK_BYTES_MAX))
    const [ours, theirs] = [sum ?? new Uint32Array(0), published].map((lanes) => new Uint8Array(lanes.buffer.slice(0)))
    if (!equalBytes(ours as Uint8Array, theirs as Uint8Array)) throw new Violation(`round ${round} has a wrong sum`)
  }
}

/** What a node's vector is before it is masked. */
export async function plainLanes(
  { trainer, secret }: Pick<TrainingDoors, 'trainer' | 'secret'>,
  assignment: Assignment,
): Promise<RingVector> {
  assert(assignment.kind === 'training', 'a question is not trained on')
  const doors = { trainer, secret, withholdsEvaluation: false }
  const trained = await train(doors, assignment, new AbortController().signal, () => undefined)
  assert(trained.ok, 'what was trained once can be trained again')
  return trained.value.lanes
}
