import { accumulate } from '#aggregation/accumulate.ts'
import { inspectVector } from '#aggregation/inspect.ts'
import { limitsOf } from '#aggregation/quantise.ts'
import { RangeCheck } from '#aggregation/ranges.ts'
import { encodeLanes, lanesOf, type Payload, type RingVector, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import type { Cid, NodeId, Seat } from '#protocol/ids.ts'
import type { RoundRecord } from '#protocol/manifest.ts'
import type { Plan, Quantiser } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { NotAFile } from '#protocol/unixfs.ts'
import type { Blocks } from './blocks.ts'
import type { RoundOptions } from './round.ts'
import { fileCidOf, type Terms } from './run.ts'
import { asStep, type Step, type VectorsProof } from './verdict.ts'

/** What a seat gave to a sum: its signed update, in a masked round its MaskedInput. */
export type Contribution = { readonly seat: Seat; readonly node: NodeId; readonly update: Cid }
type Report = Contribution & { readonly vector: Cid }

/** What a round's seats gave, and the sum of it. */
export type Collected = {
  /** In seat order. */
  readonly contributions: readonly Contribution[]
  readonly sum: RingVector
  readonly vectors: VectorsProof
}

/** A closed round as it was read and checked so far. The payload is that of this round's vectors. */
export type Asked = { readonly manifest: RoundRecord; readonly plan: Plan; readonly payload: Payload }

/** Steps `update`, `vector` and `sum` of a round whose vectors are plain. */
export async function collectPlain(
  blocks: Blocks,
  run: Terms,
  asked: Asked,
  { allowExpired = false, progress }: RoundOptions,
): Promise<Result<Collected, Step>> {
  const { manifest, plan, payload } = asked
  if (manifest.session !== null) return refuse('session', 'a plain round has none')
  progress('update')
  const reports = await checkReports(blocks, run, manifest, { model: plan.model, payload })
  if (!reports.ok) return reports
  if (allowExpired && !(await blocks.haveAll(reports.value.map(({ vector }) => vector)))) {
    progress('ranges')
    const sum = await expiredSum(blocks, asked, reports.value.length)
    return sum.ok ? accept({ contributions: reports.value, sum: sum.value, vectors: 'expired' }) : sum
  }
  progress('vector')
  const vectors = await checkVectors(blocks, reports.value, payload, plan.quantiser)
  if (!vectors.ok) return vectors
  progress('sum')
  const sum = await sumOf(blocks, reports.value, widthOf(payload))
  if (!sum.ok) return sum
  const aggregate = await fileCidOf(encodeLanes(sum.value))
  if (aggregate !== manifest.aggregate)
    return refuse('sum', `the vectors add up to ${aggregate}, not ${manifest.aggregate}`)
  return accept({ contributions: reports.value, sum: sum.value, vectors: 'recomputed' })
}

/** Step `update`: every seat that reported, in seat order. */
export async function checkReports(
  blocks: Blocks,
  run: Terms,
  manifest: Pick<RoundRecord, 'round' | 'plan' | 'seats'>,
  incoming: { readonly model: Cid; readonly payload: Payload },
): Promise<Result<readonly Report[], Step>> {
  const reports: Report[] = []
  const width = widthOf(incoming.payload)
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
      sizeBytes: vectorBytesOf(width),
      lanes: lanesOf(width),
    } as const
    for (const field of Object.keys(expected) as (keyof typeof expected)[])
      if (report[field] !== expected[field])
        return refuse('update', `seat ${seat}: its ${field} is ${report[field]}, it should be ${expected[field]}`)
    reports.push({ seat, node, update, vector: report.vector })
  }
  return accept(reports)
}

/** Step `vector`, one vector at a time and piece by piece. */
async function checkVectors(
  blocks: Blocks,
  reports: readonly Report[],
  payload: Payload,
  quantiser: Quantiser,
): Promise<Result<undefined, Step>> {
  for (const { seat, vector } of reports) {
    try {
      const source = blocks.vector(vector, vectorBytesOf(widthOf(payload)))
      const inspected = await inspectVector(source, payload, quantiser)
      if (!inspected.ok) return asStep('vector', `seat ${seat}`, inspected)
    } catch (cause) {
      if (cause instanceof NotAFile) return refuse('vector', `seat ${seat}: ${cause.message}`)
      throw cause
    }
  }
  return accept(undefined)
}

/** The sum as the coordinator published it: the file of the aggregate. */
export async function signedSum(blocks: Blocks, { manifest, payload }: Asked): Promise<Result<RingVector, 'sum'>> {
  const width = widthOf(payload)
  try {
    const file = blocks.file(manifest.aggregate, vectorBytesOf(width))
    return asStep('sum', 'the aggregate', await accumulate([file], lanesOf(width)))
  } catch (cause) {
    if (cause instanceof NotAFile) return refuse('sum', cause.message)
    throw cause
  }
}

/** The same of plain vectors that are kept no more: within what so many of them can add up to. */
async function expiredSum(blocks: Blocks, asked: Asked, reports: number): Promise<Result<RingVector, Step>> {
  const sum = await signedSum(blocks, asked)
  if (!sum.ok) return sum
  const check = new RangeCheck(limitsOf(asked.payload, asked.plan.quantiser, reports))
  const refused = check.take(sum.value)
  if (refused) return asStep('ranges', 'the aggregate', refused)
  const { reports: counted } = check.looked()
  return counted === reports ? sum : refuse('ranges', `the aggregate counts ${counted} reports of ${reports}`)
}

/** The sum over vectors that were checked. */
async function sumOf(blocks: Blocks, reports: readonly Report[], width: number): Promise<Result<RingVector, Step>> {
  function* vectors() {
    for (const { vector } of reports) yield blocks.vector(vector, vectorBytesOf(width))
  }
  return asStep('sum', 'the vectors', await accumulate(vectors(), lanesOf(width)))
}
