import type { Mask } from '#aggregation/secagg/mask.ts'
import { type Body, type MaskCt, type Said, SUITE_HYBRID } from '#aggregation/secagg/messages.ts'
import { type RemoveMasks, removeMasks as removeMasksHere } from '#aggregation/secagg/removal.ts'
import type { Survival } from '#aggregation/secagg/session.ts'
import { checkSession, checkSum, sumOf, type VectorSource } from '#aggregation/secagg/verification.ts'
import { encodeLanes, type RingVector, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { equalBytes, toHex } from '#protocol/bytes.ts'
import { cidOfDigest, DAG_PB, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { RoundRecord } from '#protocol/manifest.ts'
import { quantiserSchema } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { NotAFile } from '#protocol/unixfs.ts'
import type { Blocks } from './blocks.ts'
import type { RoundOptions } from './round.ts'
import { fileCidOf, type Order } from './run.ts'
import { readTranscript } from './transcript.ts'
import { type Asked, type Collected, type Contribution, signedSum } from './updates.ts'
import { asStep, type Step, type VectorsProof } from './verdict.ts'

/**
 * Finds a masked vector that is not part of the record by what its member signed; undefined where there is none. A store
 * that knows files by CID finds it by that: the record tells it, and what comes out is hashed anyway.
 */
export type VectorFinder = (sha256: Bytes, sizeBytes: number, cid: Cid) => Promise<AsyncIterable<Bytes> | undefined>

/**
 * The steps of a masked round, from `session` to `sum`: that the session is of this very round, task, plan and cohort, and
 * everything that `aggregation/secagg` checks of a session. Where only hashes of the vectors are public and the caller has
 * none, the sum is the one that the coordinator signed: all that follows from it is redone, and it itself is not.
 */
export async function collectMasked(
  blocks: Blocks,
  order: Order,
  asked: Asked,
  { vectors, allowExpired = false, removeMasks = removeMasksHere, progress }: RoundOptions,
): Promise<Result<Collected, Step>> {
  const { manifest, plan } = asked
  progress('session')
  if (manifest.session === null) return refuse('session', 'a masked round without one')
  const read = await readTranscript(blocks, manifest.session)
  if (!read.ok) return asStep('session', 'as it was recorded', read)
  const { record, ciphertexts } = read.value
  const terms = checkTerms(order, asked, record.roster)
  if (!terms.ok) return terms
  const checked = checkSession(record, order.run.coordinator)
  if (!checked.ok) return checked
  const { survival, masks } = checked.value
  const listed = checkCiphertexts(survival, ciphertexts)
  if (!listed.ok) return listed
  const contributions = checkSeats(survival, manifest)
  if (!contributions.ok) return contributions

  const files = filesOf(survival, asked)
  if (!files.ok) return files
  const isPublic = plan.secure?.publish === 'full'
  const isExpired = isPublic && allowExpired && !(await blocks.haveAll(files.value.values()))
  const source = isExpired ? undefined : sourceOf(blocks, isPublic, files.value, vectors)
  progress(source ? 'vector' : 'ranges')
  const sum = await (source ? unmaskedSum(survival, { masks, removeMasks }, source) : signedSum(blocks, asked))
  if (!sum.ok) return sum
  const sound = checkSum(survival, asked.payload, sum.value)
  if (!sound.ok) return asStep('ranges', 'the sum', sound)
  if (source) progress('sum')
  const said = await checkResult(manifest, record.result, sum.value)
  if (!said.ok) return said
  const { value: lanes } = sum
  const proof: VectorsProof = isExpired ? 'expired' : source ? 'recomputed' : 'committed'
  return accept({ contributions: contributions.value, sum: lanes, vectors: proof })
}

/** What a roster is of, in the record of a round. */
type Cohort = Pick<RoundRecord, 'round' | 'plan' | 'parent' | 'seats'>

/** Step `roster`, as far as it is this round's: what the plan says, and the cohort in seat order. */
export function checkTerms(
  { run }: Order,
  { manifest, plan, payload }: Omit<Asked, 'manifest'> & { readonly manifest: Cohort },
  { body }: Said<'Roster'>,
): Result<undefined, 'roster'> {
  const { secure } = plan
  assert(secure, 'a masked plan says how')
  const said = { ...body, corrupt: body.params.C, width: body.params.d }
  const expected = {
    task: run.task,
    round: manifest.round,
    specCid: manifest.plan,
    modelCid: plan.model,
    suite: secure.suite,
    publish: secure.publish,
    corrupt: secure.corrupt,
    width: widthOf(payload),
  } as const
  for (const field of Object.keys(expected) as (keyof typeof expected)[])
    if (said[field] !== expected[field])
      return refuse('roster', `its ${field} is ${said[field]}, it should be ${expected[field]}`)
  if (body.prevBundle !== undefined && body.prevBundle !== manifest.parent)
    return refuse('roster', `follows ${body.prevBundle}, the last closed round is ${manifest.parent}`)
  if (!equalBytes(encode(quantiserSchema, body.params.quantiser), encode(quantiserSchema, plan.quantiser)))
    return refuse('roster', "its quantiser is not the plan's")
  const { seats } = manifest
  if (body.members.length !== seats.length || !seats.every(({ node }, seat) => body.members[seat]?.id === node))
    return refuse('roster', 'its members are not the cohort, in seat order')
  return accept(undefined)
}

/** Step `mask-ciphertext`: of each survivor those to higher dropouts, in a block of its own, and nothing else. */
function checkCiphertexts(
  { sharing, inputs, dropouts }: Survival,
  ciphertexts: readonly (readonly MaskCt[])[],
): Result<undefined, 'mask-ciphertext'> {
  const { suite, sid } = sharing.session
  const expected = [...inputs.keys()]
    .map((u) => dropouts.filter((v) => suite === SUITE_HYBRID && v > u).map((v) => ({ u, v })))
    .filter((list) => list.length > 0)
  const same =
    ciphertexts.length === expected.length &&
    ciphertexts.every((list, at) => {
      const pairs = expected[at] ?? []
      const isNext = (one: MaskCt, index: number) =>
        one.u === pairs[index]?.u && one.v === pairs[index]?.v && equalBytes(one.sid, sid)
      return list.length === pairs.length && list.every(isNext)
    })
  return same ? accept(undefined) : refuse('mask-ciphertext', 'not those of survivors to higher dropouts, in order')
}

/** Step `update`: the seats that reported are the survivors, each with the input that was confirmed. */
function checkSeats(survival: Survival, { seats }: RoundRecord): Result<readonly Contribution[], 'update'> {
  const contributions: Contribution[] = []
  for (const [seat, { node, update }] of seats.entries()) {
    const input = survival.inputs.get(seat + 1)?.cid ?? null
    if (update !== input) return refuse('update', `seat ${seat}: its input is ${update}, confirmed was ${input}`)
    if (update !== null) contributions.push({ seat, node, update })
  }
  return accept(contributions)
}

/**
 * The vectors' names as files. A public one is named by its input; one of a single block has the hash that its member
 * signed; of larger ones that are not public the record tells the roots, as hashes and not as links, since they are no part
 * of it.
 */
function filesOf(
  { inputs }: Survival,
  { manifest, plan, payload }: Asked,
): Result<ReadonlyMap<number, Cid>, 'session'> {
  const roots = manifest.session?.vectorRoots
  const isLarge = vectorBytesOf(widthOf(payload)) > BLOCK_BYTES_MAX
  const expected = plan.secure?.publish === 'commit-only' && isLarge ? inputs.size : undefined
  if (roots?.length !== expected)
    return refuse('session', `names the roots of ${roots?.length ?? 0} vectors, of ${expected ?? 0} it should`)
  const named = [...inputs.values()].map(({ body }, at): [number, Cid] => {
    const root = roots?.[at]
    return [body.u, body.cid ?? (root ? cidOfDigest(DAG_PB, root) : cidOfDigest(RAW, body.sha256))]
  })
  return accept(new Map(named))
}

/** Where the vectors are; undefined where only their hashes are at hand. */
function sourceOf(
  blocks: Blocks,
  isPublic: boolean,
  files: ReadonlyMap<number, Cid>,
  find: VectorFinder | undefined,
): VectorSource | undefined {
  const fileOf = ({ u }: Body<'MaskedInput'>): Cid => {
    const cid = files.get(u)
    assert(cid, 'every survivor gave a vector')
    return cid
  }
  if (!isPublic) return find && ((input) => found(find, input, fileOf(input)))
  return (input) => blocks.vector(fileOf(input), input.bytes)
}

async function* found(find: VectorFinder, { u, sha256, bytes }: Body<'MaskedInput'>, cid: Cid): AsyncIterable<Bytes> {
  const vector = await find(sha256, bytes, cid)
  if (!vector) throw new NotAFile(`of member ${u}: nothing that was given has SHA-256 ${toHex(sha256)}`)
  yield* vector
}

/** Step `vector`: the sum of the vectors that were signed, and the masks off it. */
async function unmaskedSum(
  survival: Survival,
  { masks, removeMasks }: { readonly masks: readonly Mask[]; readonly removeMasks: RemoveMasks },
  source: VectorSource,
): Promise<Result<RingVector, 'vector'>> {
  try {
    const sum = await sumOf(survival, source)
    if (sum.ok) await removeMasks(sum.value, masks)
    return sum
  } catch (cause) {
    if (cause instanceof NotAFile) return refuse('vector', cause.message)
    throw cause
  }
}

/** Step `sum`: the result that the coordinator signed is this sum, the manifest's aggregate and its model. */
async function checkResult(
  { aggregate, model }: RoundRecord,
  { body }: Said<'Result'>,
  lanes: RingVector,
): Promise<Result<undefined, 'sum' | 'model'>> {
  const bytes = encodeLanes(lanes)
  if (!equalBytes(sha256(bytes), body.sumSha256)) return refuse('sum', 'the result has another SHA-256')
  const cid = await fileCidOf(bytes)
  for (const [where, said] of Object.entries({ manifest: aggregate, result: body.sumCid }))
    if (said !== cid) return refuse('sum', `the sum is ${cid}, the ${where} says ${said}`)
  return body.model === model ? accept(undefined) : refuse('model', `the result says ${body.model}, not ${model}`)
}
