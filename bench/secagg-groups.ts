import { accumulate } from '#aggregation/accumulate.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { quantise } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import {
  certificateOf,
  checkParcel,
  checkUnmask,
  parcelFor,
  resultOf,
  reveal,
  sharedOf,
  survivorsOf,
} from '#aggregation/secagg/aggregator.ts'
import { groupsOf } from '#aggregation/secagg/groups.ts'
import { type Body, type Parcel, say } from '#aggregation/secagg/messages.ts'
import { agree, confirm, mask, unmask } from '#aggregation/secagg/participant.ts'
import { masksOf, removeMasks } from '#aggregation/secagg/removal.ts'
import {
  checkMaskedInput,
  checkShareKeys,
  openSession,
  openSharing,
  openSurvival,
} from '#aggregation/secagg/session.ts'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import type { Keyed } from '#aggregation/secagg/states.ts'
import { sumOf, verifySession } from '#aggregation/secagg/verification.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, cidOfDigest, RAW } from '#protocol/cid.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { timed } from './cpu.ts'
import type { Table } from './report.ts'
import { chanceOf, dealtCohort, signersOf, sure } from './secagg-cohort.ts'

const [NODES, GROUP_SIZE, PARAMETERS] = [1_000, 100, 100_000]
/** In every group, after they shared their keys. */
const DROPOUTS = 5

/**
 * A population in groups: one of them is played whole, with every member, its coordinator and a verifier, and the others
 * would cost the same again. All they have in common is that their sums are added.
 */
export async function groupsTable(): Promise<Table> {
  const signers = new Map(signersOf(NODES).map((signer) => [signer.id, signer]))
  const { value: groups, cpu } = await timed(() => groupsOf([...signers.keys()], chanceOf('beacon')(32), GROUP_SIZE))
  const members = (groups[0] ?? []).map((id) => signers.get(id) as Signer)
  const rows: Table['rows'][number][] = []
  for (const hybrid of [false, true]) {
    const spent = await play(members, hybrid)
    const seconds = (millis: number) => (millis / 1_000).toFixed(2)
    rows.push([
      hybrid ? 2 : 1,
      ...[spent.keys, spent.mask, spent.unmask].map((millis) => millis.toFixed(0)),
      ...[spent.coordinator, spent.verifier].map(seconds),
      ...[spent.coordinator, spent.verifier].map((millis) => seconds(millis * groups.length)),
    ])
  }
  return {
    title:
      `Groups: ${NODES} nodes in ${groups.length} groups of ${GROUP_SIZE}, cut in ${cpu.toFixed(0)} ms; ` +
      `${PARAMETERS} parameters, ${DROPOUTS} dropouts a group. One group is measured, "all" is extrapolated from it`,
    columns: [
      ...['suite', 'member keys ms', 'member mask ms', 'member unmask ms'],
      ...['coordinator CPU s', 'verifier CPU s', 'coordinator CPU s, all', 'verifier CPU s, all'],
    ],
    rows,
  }
}

/** A whole session. @returns CPU milliseconds: a member's on average, the coordinator's and a verifier's in all */
async function play(signers: readonly Signer[], hybrid: boolean) {
  const n = signers.length
  const everyone = Array.from({ length: n }, (_, index) => index + 1)
  const alive = everyone.filter((u) => u % (n / DROPOUTS) !== 0)
  const spent = { keys: 0, mask: 0, unmask: 0, coordinator: 0, verifier: 0 }
  const by = async <T>(who: keyof typeof spent, times: number, work: () => T | Promise<T>): Promise<T> => {
    const { value, cpu } = await timed(work)
    spent[who] += cpu / times
    return value
  }
  const cohort = dealtCohort({ n, parameters: PARAMETERS, hybrid }, signers)
  const { adverts, roster, keys, coordinator } = cohort
  const parcels = cohort.dealt.map((one) => one.say.parcel)
  const vectors = everyone.map((u) => vectorOf(u, roster.body.params.quantiser))
  const store = openStore()

  const { shared, sharing, carried } = await by('coordinator', 1, () => {
    const session = sure(openSession(roster, adverts, coordinator.id))
    for (const { say } of cohort.dealt) {
      sure(checkShareKeys(session, say.keys))
      sure(checkParcel(say.keys, say.parcel))
    }
    const shared = say(coordinator, 'Shared', sharedOf(session, keys))
    const carried = everyone.map((u) => parcelFor(u, parcels))
    return { shared, sharing: sure(openSharing(session, shared, keys)), carried }
  })
  // All have dealt before; ten do it again to be timed.
  await by('keys', 10, () => everyone.filter((u) => u % (n / 10) === 0).map(cohort.shareAs))
  const keyed = await by('keys', n, () =>
    cohort.dealt.map(({ next }, index) => {
      const agreed = sure(agree(next, shared, keys, carried[index] as Parcel)).next
      assert(agreed.phase === 'keyed', 'honest dealers leave nothing to complain of')
      return agreed
    }),
  )
  const masked = await by('mask', alive.length, async () => {
    const said = []
    for (const u of alive) {
      const vector = encodeLanes(vectors[u - 1] as RingVector)
      said.push(sure(await mask(keyed[u - 1] as Keyed, once(vector), store.keep)))
    }
    return said
  })
  const inputs = masked.map(({ say }) => say)
  const { survivors, survival } = await by('coordinator', 1, () => {
    for (const input of inputs) sure(checkMaskedInput(sharing, input))
    const survivors = say(coordinator, 'Survivors', survivorsOf(sharing, inputs))
    return { survivors, survival: sure(openSurvival(sharing, survivors, inputs)) }
  })
  const confirmed = await by('unmask', alive.length, () =>
    masked.map(({ next }) => sure(confirm(next, survivors, inputs, UNSPENT))),
  )
  const confirms = confirmed.map(({ say }) => say)
  const certificate = await by('coordinator', 1, () =>
    say(coordinator, 'QuorumCert', sure(certificateOf(survival, confirms))),
  )
  const unmasks = await by('unmask', alive.length, () =>
    confirmed.map(({ next }) => sure(unmask(next, certificate)).say),
  )
  const maskCts = parcels.flatMap((parcel) => parcel.maskCts)
  const result = await by('coordinator', 1, async () => {
    for (const answer of unmasks) sure(checkUnmask(survival, answer))
    const revealed = sure(reveal(survival, unmasks).revealed)
    const sum = sure(await sumOf(survival, store.read))
    await removeMasks(sum, sure(masksOf(survival, revealed, maskCts).masks))
    const bytes = encodeLanes(sum)
    const about = { sumCid: cidOf(RAW, bytes), sumSha256: sha256(bytes), model: roster.body.modelCid, verifier: '' }
    return say(coordinator, 'Result', resultOf(survival, revealed, about))
  })
  const payload = { parameters: PARAMETERS, moving: 0, scores: NO_SCORES }
  const record = { roster, adverts, shared, keys, survivors, inputs, certificate, result, maskCts }
  const { sum } = await by('verifier', 1, async () =>
    sure(await verifySession(record, coordinator.id, payload, store.read)),
  )
  const plain = sure(
    await accumulate(
      alive.map((u) => once(encodeLanes(vectors[u - 1] as RingVector))),
      sum.length,
    ),
  )
  assert(equalBytes(encodeLanes(sum), encodeLanes(plain)), 'the sum is that of the survivors’ vectors')
  return spent
}

/** What a member reports: any delta will do. */
function vectorOf(u: number, quantiser: Quantiser): RingVector {
  const delta = new Float32Array(PARAMETERS).fill(u / 1e5)
  const evaluation = { rows: 9, correct: u % 10, lossSumNats: 1 }
  return sure(
    quantise({ delta, weight: 1, evaluation }, quantiser, uint32Stream(chanceOf(`rounding ${u}`)(32)), NO_SCORES),
  )
}

/** Masked vectors in memory, found by what their members signed. */
function openStore() {
  const kept = new Map<Cid, Bytes>()
  const keep = async (masked: AsyncIterable<Bytes>): Promise<Cid> => {
    const bytes = await collect(masked, BLOCK_BYTES_MAX)
    const cid = cidOf(RAW, bytes)
    kept.set(cid, bytes)
    return cid
  }
  const read = ({ sha256: digest }: Body<'MaskedInput'>) => once(kept.get(cidOfDigest(RAW, digest)) as Bytes)
  return { keep, read }
}
