import { accumulate } from '#aggregation/accumulate.ts'
import { inspectVector } from '#aggregation/inspect.ts'
import { encodeLanes, lanesOf, type RingVector, vectorBytesOf } from '#aggregation/vector.ts'
import type { Bytes, Cid, NodeId, Seat } from '#protocol/ids.ts'
import type { RoundManifest, RunManifest } from '#protocol/manifest.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { NotAFile } from '#protocol/unixfs.ts'
import type { Blocks } from './blocks.ts'
import { asStep, type Step } from './verdict.ts'

/** A seat's signed update. */
export type Report = { readonly seat: Seat; readonly node: NodeId; readonly update: Cid; readonly vector: Cid }

/**
 * Step `update`: every seat that reported, in seat order.
 * @param incoming the round's model, and the parameters of a delta: 0 in an evaluate round
 */
export async function checkReports(
  blocks: Blocks,
  run: RunManifest,
  manifest: RoundManifest,
  incoming: { readonly model: Cid; readonly parameters: number },
): Promise<Result<readonly Report[], Step>> {
  const reports: Report[] = []
  for (const [seat, { node, update }] of manifest.seats.entries()) {
    if (update === null) continue
    const signed = await blocks.signed(update, 'report', node)
    if (!signed.ok) return asStep('update', `seat ${seat}`, signed)
    const report = signed.value.value
    const expected = {
      to: run.coordinator,
      run: run.run,
      round: manifest.round,
      seat,
      plan: manifest.plan,
      model: incoming.model,
      sizeBytes: vectorBytesOf(incoming.parameters),
      lanes: lanesOf(incoming.parameters),
    } as const
    for (const field of Object.keys(expected) as (keyof typeof expected)[])
      if (report[field] !== expected[field])
        return refuse('update', `seat ${seat}: its ${field} is ${report[field]}, it should be ${expected[field]}`)
    reports.push({ seat, node, update, vector: report.vector })
  }
  return accept(reports)
}

/** Step `vector`, one vector at a time and piece by piece. */
export async function checkVectors(
  blocks: Blocks,
  reports: readonly Report[],
  parameters: number,
  quantiser: Quantiser,
): Promise<Result<undefined, Step>> {
  for (const { seat, vector } of reports) {
    try {
      const source = blocks.file(vector, vectorBytesOf(parameters))
      const inspected = await inspectVector(source, parameters, quantiser)
      if (!inspected.ok) return asStep('vector', `seat ${seat}`, inspected)
    } catch (cause) {
      if (cause instanceof NotAFile) return refuse('vector', `seat ${seat}: ${cause.message}`)
      throw cause
    }
  }
  return accept(undefined)
}

/** The sum over vectors that were checked. */
export async function sumOf(
  blocks: Blocks,
  reports: readonly Report[],
  parameters: number,
): Promise<Result<{ readonly lanes: RingVector; readonly bytes: Bytes }, Step>> {
  function* vectors() {
    for (const { vector } of reports) yield blocks.file(vector, vectorBytesOf(parameters))
  }
  const sum = await accumulate(vectors(), lanesOf(parameters))
  return sum.ok ? accept({ lanes: sum.value, bytes: encodeLanes(sum.value) }) : asStep('sum', 'the vectors', sum)
}
