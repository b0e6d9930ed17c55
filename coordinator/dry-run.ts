import { trainingNeeds } from '#aggregation/needs.ts'
import { payloadIn, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import { roundBudget, roundPayouts, type Tranche, tranchesOf } from '#payments/allocate.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { assert } from '#protocol/assert.ts'
import { type Block, type Signer, sealOf } from '#protocol/envelope.ts'
import type { Amount, Cid, NodeId, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore, Clock, Presence } from '#protocol/ports.ts'
import { accept, type Result } from '#protocol/result.ts'
import { signAs } from '#protocol/sealed.ts'
import { isQuestion } from '#protocol/subject.ts'
import { type Compatibility, compatibilityOf } from './compatibility.ts'
import { type CreateRun, createRun } from './create.ts'
import { draftOver } from './draft.ts'
import { planFor } from './effects/open.ts'
import type { Eligibility } from './eligibility.ts'
import type { Inquiries, Opinion } from './inquiries.ts'
import type { CreateRefusal, Origin } from './keep-task.ts'
import { orderOf, readBlock } from './record.ts'
import { stepRun } from './run.ts'
import type { RunSpec } from './run-spec.ts'

/** Sites that are told of: whoever has more nodes linked learns how many there are. */
const SITES_MAX = 256
const FLOAT_BYTES = 4

export type DryRunDoors = {
  readonly blobs: BlobStore
  readonly signer: Signer
  readonly inquiries: Inquiries
  /** Of whatever process. */
  readonly presence: Presence
  readonly eligibility: Pick<Eligibility, 'invited' | 'operators'>
  readonly clock: Clock
  readonly newRunId: () => RunId
}

export type Forecast = {
  readonly spec: RunSpec
  readonly parameters: number
  readonly trained: number
  readonly memoryBytes: number
  readonly bytes: Bytes
  readonly cost: Cost
  readonly sites: readonly Site[]
  readonly linked: number
  readonly willing: number
  readonly compatibility: readonly Compatibility[]
}
type Bytes = {
  readonly upPerNode: number
  readonly downPerNode: number
  readonly perRound: number
  readonly byCodec: readonly { readonly codec: string; readonly bytesUp: number; readonly available: boolean }[]
}
type Cost = { readonly perRound: Amount; readonly perUpdateMin: Amount; readonly perUpdateMax: Amount }
export type Site = {
  readonly node: NodeId
  readonly operator: string | null
  readonly linked: boolean
  /** Null where it did not say. */
  readonly accepts: boolean | null
  readonly rule: string | null
  readonly detail: string | null
}

/**
 * What a run would be: made as one is, by the same checks, in a store that keeps nothing; and the plan of its first round,
 * which nodes are asked about and which is of no round.
 */
export async function dryRun(
  doors: DryRunDoors,
  request: CreateRun,
  origin: Origin | undefined,
  /** Nodes that may be in its rounds; undefined when anybody may. */
  populationSize: number | undefined,
): Promise<Result<Forecast> & { readonly where?: CreateRefusal }> {
  const draft = draftOver(doors.blobs)
  const spec = await createRun(draft, doors.newRunId(), request, null, populationSize, origin)
  if (!spec.ok) return spec
  const order = await orderOf(draft, spec.value)
  const { subject: task, payload } = order
  assert(!isQuestion(task), 'a request for a run brings a task')
  const architecture = await readBlock(draft, task.architecture, architectureSchema)
  const shape = shapeOf(architecture)
  assert(shape.ok, 'it was checked')
  const { tensorBytes, copiesBytes } = trainingNeeds(architecture, task)
  const run = stepRun(undefined, { kind: 'created', at: doors.clock.now(), spec: spec.value })
  assert(run.ok, 'a run begins')
  const plan = sealOf(signAs(doors.signer, 'plan', planFor(run.value, order, 1, null)))
  const named = await blocksOf(draft, [spec.value.task, task.architecture, task.genesis])
  const sites = await sitesOf(doors, spec.value.federation, plan.seal.cid, [plan.seal, plan.body, ...named])
  return accept({
    spec: spec.value,
    parameters: shape.value.parameters,
    trained: shape.value.trained,
    memoryBytes: tensorBytes + copiesBytes,
    bytes: bytesOf(spec.value, vectorBytesOf(widthOf(payloadIn('train', payload))), shape.value),
    cost: costOf(spec.value),
    ...sites,
    compatibility: compatibilityOf({ spec: spec.value, task, architecture }),
  })
}

function blocksOf(blobs: BlobStore, cids: readonly Cid[]): Promise<readonly Block[]> {
  return Promise.all(cids.map(async (cid) => ({ cid, bytes: await blobs.getBlock(cid, BLOCK_BYTES_MAX) })))
}

/**
 * At most: of the vectors and the model, which are nearly all of it. Under masks each member adds up the round before again,
 * from its vectors; where nodes of a site share what they fetch, or a model goes as its difference, it is less.
 */
function bytesOf(
  { secure, cohort }: RunSpec,
  upPerNode: number,
  { parameters, trained }: { readonly parameters: number; readonly trained: number },
): Bytes {
  const downPerNode = parameters * FLOAT_BYTES + (secure ? cohort.max * upPerNode : 0)
  return {
    ...{ upPerNode, downPerNode, perRound: cohort.max * (upPerNode + downPerNode) },
    byCodec: [
      { codec: 'ring32', bytesUp: upPerNode, available: true },
      { codec: 'float32', bytesUp: trained * FLOAT_BYTES, available: false },
    ],
  }
}

/** What a round pays, the least of any; and an update, from that of a full cohort in it to that of a bare quorum in the best paid. */
function costOf(spec: RunSpec): Cost {
  const tranches = tranchesOf(spec)
  const perRound = roundBudget(tranches, spec.planned)
  const [full, bare] = [amounts(tranches, spec.planned, spec.cohort.max), amounts(tranches, 1, spec.cohort.quorum)]
  return { perRound, perUpdateMin: full.at(-1) ?? 0n, perUpdateMax: bare[0] ?? 0n }
}

/** Of so many updates, the larger ones first: whose they are does not matter for that. */
function amounts(tranches: readonly Tranche[], index: number, reports: number): readonly Amount[] {
  const nodes = Array.from({ length: reports }, (_, seat) => String(seat).padStart(5, '0') as NodeId)
  return roundPayouts(tranches, index, nodes).map(({ amount }) => amount)
}

/** Those who are linked and would be invited to its rounds. */
async function sitesOf(
  { inquiries, presence, eligibility }: DryRunDoors,
  federation: RunSpec['federation'],
  plan: Cid,
  blocks: readonly Block[],
): Promise<Pick<Forecast, 'sites' | 'linked' | 'willing'>> {
  const linked = (await eligibility.invited(federation, await presence.nodes())).toSorted()
  const told = linked.slice(0, SITES_MAX)
  const [opinions, operatorOf] = await Promise.all([
    inquiries.ask(plan, blocks, told),
    eligibility.operators(federation),
  ])
  const sites = told.map((node) => {
    const opinion = viewOf(opinions?.get(node), opinions !== undefined)
    return { node, operator: operatorOf(node), linked: true, ...opinion }
  })
  const willing = sites.filter(({ accepts }) => accepts === true).length
  return { sites, linked: linked.length, willing }
}

function viewOf(said: Opinion | 'elsewhere' | undefined, wasAsked: boolean): Pick<Site, 'accepts' | 'rule' | 'detail'> {
  if (said === 'elsewhere')
    return { accepts: null, rule: null, detail: 'not asked: it is linked to another process of the coordinator' }
  if (said) return { accepts: said.refusal === null, rule: said.refusal, detail: said.detail || null }
  const detail = wasAsked ? 'it did not say' : 'the task finds no room in a question to nodes'
  return { accepts: null, rule: null, detail }
}
