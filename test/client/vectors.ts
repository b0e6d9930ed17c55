import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { resultOf, reveal } from '#aggregation/secagg/aggregator.ts'
import { type Said, say } from '#aggregation/secagg/messages.ts'
import { type SessionRecord, verifySession } from '#aggregation/secagg/verification.ts'
import { decodeLanes, encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { train } from '#client/training.ts'
import { sha256 } from '#crypto'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { LocalUpdate } from '#protocol/ports.ts'
import { holdoutSeed, shuffleSeed } from '#protocol/seeds.ts'
import { must } from '#test/aggregation/given.ts'
import { coordinator } from './bench.ts'
import type { Host } from './host.ts'

/** What a node's vector is before it is masked: known here alone, where its trainer and its secret are. */
export async function plainVector(host: Host, seat: number): Promise<RingVector> {
  const doors = {
    ...{ trainer: host.trainerOf(seat), secret: host.node(seat).secret },
    withholdsEvaluation: host.withholds,
  }
  return must(await train(doors, await host.assignment(), new AbortController().signal, () => undefined)).lanes
}

/** The same before it is rounded. */
export async function plainUpdate(host: Host, seat: number): Promise<LocalUpdate> {
  const { task, architecture, model, plan } = await host.assignment()
  const weights = must(await model.read())
  const { secret } = host.node(seat)
  const seeds = {
    shuffleSeed: shuffleSeed(secret, plan.task, plan.round),
    holdoutSeed: holdoutSeed(secret, plan.task),
    evaluationRowsMax: 1000,
  }
  const purpose = plan.purpose === 'evaluate' ? 'evaluate' : 'train'
  return host.trainerOf(seat).fit(weights, { task, architecture, purpose, ...seeds }, new AbortController().signal)
}

export async function plainSum(host: Host, seats: readonly number[]): Promise<RingVector> {
  const vectors = await Promise.all(seats.map((seat) => plainVector(host, seat)))
  const sum = new Uint32Array(vectors[0]?.length ?? 0)
  for (const vector of vectors) for (const [lane, value] of vector.entries()) sum[lane] = (sum[lane] as number) + value
  return decodeLanes(encodeLanes(sum))
}

/** Takes the masks off as anyone can, and checks the whole record. */
export async function unmaskedSum(
  host: Host,
  roster: Said<'Roster'>,
  shared: Said<'Shared'>,
  survivors: Said<'Survivors'>,
  certificate: Said<'QuorumCert'>,
): Promise<RingVector> {
  const sharing = host.sharing(roster, shared)
  const survival = host.survival(sharing, survivors)
  const revealed = must(reveal(survival, host.unmasks.filter(Boolean)).revealed)
  const inputs = [...survival.inputs.values()]
  const reporters = inputs.map(({ body }) => body.u - 1)
  const bytes = encodeLanes(await plainSum(host, reporters))
  const about = { sumCid: cidOf(RAW, bytes), sumSha256: sha256(bytes), model: host.plan, verifier: 'test' }
  const record: SessionRecord = {
    ...{ roster, adverts: host.adverts, shared, keys: [...sharing.keys.values()], survivors, inputs, certificate },
    result: say(coordinator, 'Result', resultOf(survival, revealed, about)),
    maskCts: host.parcels.filter(Boolean).flatMap(({ maskCts }) => maskCts),
  }
  const payload = { parameters: roster.body.params.d, moving: 0, scores: NO_SCORES }
  const verified = await verifySession(record, coordinator.id, payload, async function* ({ u }) {
    yield host.vectors.get(u - 1) as Bytes
  })
  return must(verified).sum
}
