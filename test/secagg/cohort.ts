import { clip } from '#aggregation/clip.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { quantise } from '#aggregation/quantise.ts'
import { uint32Stream, unitStream } from '#aggregation/rng.ts'
import { type Body, type Said, SUITE_X25519, type Suite, say } from '#aggregation/secagg/messages.ts'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import { advertise, type Expectation } from '#aggregation/secagg/participant.ts'
import type { Advertised, Chance, Site } from '#aggregation/secagg/states.ts'
import { encodeLanes, lanesOf, type RingVector } from '#aggregation/vector.ts'
import { keystream, sha256 } from '#crypto'
import { collect, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, cidOfDigest, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, Round } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { importFile } from '#protocol/unixfs.ts'
import { must } from '#test/aggregation/given.ts'

/** A cohort of sites and its coordinator, everything drawn from a seed: the same cohort has the same bytes. */
export type Cohort = {
  readonly name: string
  readonly suite: Suite
  readonly coordinator: Signer
  /** By key: site i is member i + 1. */
  readonly sites: readonly Site[]
  readonly task: Cid
  readonly round: Round
  readonly publish: Body<'Roster'>['publish']
  readonly model: Cid
  readonly spec: Cid
  readonly parameters: number
  readonly quantiser: Quantiser
  readonly maxCorrupt: number
  /** Each site's plain vector. */
  readonly inputs: readonly RingVector[]
}

export const DEADLINES = [1_000, 2_000, 3_000, 4_000] as const

export function cohortOf(
  name: string,
  n: number,
  {
    parameters = 5,
    suite = SUITE_X25519,
    maxCorrupt = 1,
    publish = 'full',
  }: Partial<Pick<Cohort, 'parameters' | 'suite' | 'maxCorrupt' | 'publish'>> = {},
): Cohort {
  const coordinator = signerOf(sha256(utf8(`${name} coordinator`)))
  const signers = Array.from({ length: n }, (_, index) => signerOf(sha256(utf8(`${name} site ${index}`))))
  signers.sort((a, b) => (a.id < b.id ? -1 : 1))
  const allowed = new Set(signers.map(({ id }) => id))
  const quantiser = { bits: Math.min(24, 32 - Math.ceil(Math.log2(n))), rangeMicro: 10_000_000, weightMax: 1, nMax: n }
  return {
    name,
    suite,
    coordinator,
    sites: signers.map((signer) => ({
      signer,
      coordinator: coordinator.id,
      allowed,
      publish: ['full', 'commit-only'] as const,
      maxCorrupt,
    })),
    task: cidOf(DAG_CBOR, utf8(`${name} task`)),
    round: 1,
    publish,
    model: cidOf(DAG_CBOR, utf8(`${name} model`)),
    spec: cidOf(DAG_CBOR, utf8(`${name} plan`)),
    parameters,
    quantiser,
    maxCorrupt,
    inputs: signers.map((_, index) => inputOf(`${name} input ${index}`, parameters, quantiser)),
  }
}

/** A report as a site makes it: clipped, quantised, with figures. */
function inputOf(name: string, parameters: number, quantiser: Quantiser): RingVector {
  const unit = unitStream(sha256(utf8(name)))
  const delta = clip(
    Float32Array.from({ length: parameters }, () => 6 * unit() - 3),
    10,
  )
  const evaluation = { rows: 9, correct: Math.floor(10 * unit()), lossSumNats: 9 * unit() }
  return must(
    quantise({ delta, weight: 1, evaluation }, quantiser, uint32Stream(sha256(utf8(`${name} rounding`))), NO_SCORES),
  )
}

/** Chance of one site in one session; another `turn` is another draw. */
export function chanceOf({ name }: Cohort, u: number, turn = 0): Chance {
  const next = keystream(sha256(utf8(`${name} chance ${u} ${turn}`)), new Uint8Array(16))
  return (lengthBytes) => next(lengthBytes).slice()
}

export function expectedBy(cohort: Cohort): Expectation {
  const { task, round, model, spec, parameters, quantiser } = cohort
  return { task, round, model, spec, width: parameters, quantiser, now: 0 }
}

/** @param turn another one gives another advert, with fresh secrets */
export function advertiseAs(cohort: Cohort, u: number, turn = 0, about: Partial<Parameters<typeof advertise>[1]> = {}) {
  const { task, round, suite } = cohort
  return advertise(
    cohort.sites[u - 1] as Site,
    { suite, task, round, seq: turn, expiresAt: 10_000, ...about },
    chanceOf(cohort, u, turn),
  )
}

export function advertiseAll(cohort: Cohort, turn = 0): readonly Advertised[] {
  return cohort.sites.map((_, index) => advertiseAs(cohort, index + 1, turn).next)
}

/** An honest roster, with whatever a test says otherwise. */
export function rosterOf(
  cohort: Cohort,
  adverts: readonly Said<'Advert'>[],
  lies: Partial<Omit<Body<'Roster'>, 'params'>> & { readonly params?: Partial<Body<'Roster'>['params']> } = {},
  signer: Signer = cohort.coordinator,
): Said<'Roster'> {
  const { C, q, t, live } = must(secureRule(adverts.length, { maxCorrupt: cohort.maxCorrupt }))
  const { task, round, publish, model: modelCid, spec: specCid, suite, quantiser } = cohort
  const { params, ...rest } = lies
  return say(signer, 'Roster', {
    v: 1,
    suite,
    task,
    round,
    attempt: 1,
    publish,
    modelCid,
    specCid,
    graph: { kind: 'complete' },
    params: { laneBits: 32, d: cohort.parameters, quantiser, C, q, t, live, s2: 0, ...params },
    deadlines: DEADLINES,
    members: adverts.map(({ from, cid }) => ({ id: from, advert: cid })).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    ...rest,
  })
}

/** As many as a test masks. */
const VECTOR_BYTES_MAX = 2 * BLOCK_BYTES_MAX

/** Keeps masked vectors by their hash, names them as a store does, and finds them by what their members signed. */
export class Vectors {
  readonly bytes = new Map<Cid, Bytes>()

  keep = async (masked: AsyncIterable<Bytes>): Promise<Cid> => {
    const bytes = await collect(masked, VECTOR_BYTES_MAX)
    this.bytes.set(cidOf(RAW, bytes), bytes)
    return importFile(once(bytes), async () => undefined)
  }

  of({ sha256 }: Pick<Body<'MaskedInput'>, 'sha256'>): Bytes {
    return this.bytes.get(cidOfDigest(RAW, sha256)) as Bytes
  }

  read = async function* (this: Vectors, input: Body<'MaskedInput'>): AsyncIterable<Bytes> {
    yield this.of(input)
  }.bind(this)
}

export async function* streamOf(vector: RingVector): AsyncIterable<Bytes> {
  yield encodeLanes(vector)
}

/** Lane by lane, mod 2^32: what a session's sum must be. */
export function plainSum(cohort: Cohort, members: Iterable<number>): RingVector {
  const sum = new Uint32Array(lanesOf(cohort.parameters))
  for (const u of members)
    for (const [lane, value] of (cohort.inputs[u - 1] as RingVector).entries())
      sum[lane] = (sum[lane] as number) + value
  return sum
}
