import { secretsOf } from '#aggregation/secagg/derive.ts'
import { type MaskCt, type Parcel, type Said, SUITE_HYBRID, say } from '#aggregation/secagg/messages.ts'
import { abandon } from '#aggregation/secagg/participant.ts'
import type { Site } from '#aggregation/secagg/states.ts'
import type { SessionRecord } from '#aggregation/secagg/verification.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { once, toHex } from '#protocol/bytes.ts'
import { digestOf } from '#protocol/cid.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Bytes, Cid, Round, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Endings, SessionManifest } from '#protocol/manifest.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import { importFile } from '#protocol/unixfs.ts'
import { must } from '#test/aggregation/given.ts'
import { type Cohort, chanceOf, Vectors } from '#test/secagg/cohort.ts'
import { type Absent, dealAll, maskAll, play, shareOut } from '#test/secagg/play.ts'
import type { Store } from './store.ts'

/** What happened in a masked round that came to nothing. */
export type Fate = 'abandoned' | 'certified'

/** Who plays: the run's coordinator and its nodes in seat order. */
export type Stage = {
  readonly store: Store
  readonly run: RunId
  readonly coordinator: Signer
  readonly members: readonly Signer[]
  readonly task: Cid
  readonly secure: Secure
}

/** One masked round as it is played. */
export type Act = {
  readonly round: Round
  readonly plan: Plan
  readonly planCid: Cid
  readonly parameters: number
  /** The members' plain vectors. */
  readonly inputs: readonly Uint32Array[]
}

/** What a lie may use: who can sign, and what was said in earlier rounds. */
export type Backstage = Stage & { readonly act: Act; readonly earlier: ReadonlyMap<Round, SessionRecord> }

/** … and what was said by members of a session that was abandoned. */
export type Aftermath = Stage & Pick<Backstage, 'earlier'> & { readonly abandons: readonly Said<'Abandon'>[] }

export type MaskedHooks = {
  /** What was said in a session, once all of it was: later messages do not follow from what is changed here. */
  readonly record?: (record: SessionRecord, at: Backstage) => Partial<SessionRecord> | Promise<Partial<SessionRecord>>
  /** The blocks of mask ciphertexts. */
  readonly ciphertexts?: (lists: readonly (readonly MaskCt[])[], at: Backstage) => readonly (readonly MaskCt[])[]
  /** What a plan tells of earlier sessions. */
  readonly endings?: (endings: Endings, at: Aftermath) => Endings | Promise<Endings>
}

/** A session by the members' real code. */
function cohortOf({ coordinator, members, secure, task, run }: Stage, act: Act): Cohort {
  const { round, plan, planCid, parameters, inputs } = act
  const allowed = new Set(members.map(({ id }) => id))
  const site = { coordinator: coordinator.id, allowed, publish: [secure.publish], maxCorrupt: secure.corrupt }
  return {
    ...{ name: `${run} ${round} ${coordinator.id}`, suite: secure.suite, coordinator, task, round },
    sites: members.map((signer): Site => ({ ...site, signer })),
    ...{ publish: secure.publish, model: plan.model, spec: planCid, parameters, quantiser: plan.quantiser },
    ...{ maxCorrupt: secure.corrupt, inputs },
  }
}

/** Sessions by all that goes into them: most lies are told of the same ones. */
const played = new Map<string, ReturnType<typeof playWhole>>()

function playOnce(cohort: Cohort, losses: Absent): ReturnType<typeof playWhole> {
  const key = keyOf(cohort, losses)
  const known = played.get(key) ?? playWhole(cohort, losses)
  played.set(key, known)
  return known
}

async function playWhole(cohort: Cohort, losses: Absent) {
  const whole = must(await play(cohort, losses))
  const { parcels, answers, survivors } = whole
  const shares = answers.flatMap(({ body }) => [...body.bShares, ...body.rootShares].map(({ share }) => share))
  return { ...whole, secrets: [...secretsIn(cohort, parcels, survivors), ...shares] }
}

function keyOf({ name, suite, publish, maxCorrupt, spec, inputs }: Cohort, losses: Absent): string {
  const hashes = inputs.map((lanes) => toHex(sha256(encodeLanes(lanes))))
  return JSON.stringify([name, suite, publish, maxCorrupt, spec, losses, hashes])
}

/** @returns what was said, and what became of the vectors that went to the aggregator alone */
export async function playSession(stage: Stage, act: Act, losses: Absent) {
  const cohort = cohortOf(stage, act)
  const { record, vectors, survivors, secrets } = await playOnce(cohort, losses)
  const isPublic = stage.secure.publish === 'full'
  const hidden = new Map<string, Bytes>()
  for (const bytes of vectors.bytes.values()) {
    if (isPublic) await stage.store.file(new Uint32Array(bytes.slice().buffer))
    else hidden.set(toHex(sha256(bytes)), bytes)
  }
  await keepAll(stage.store, record)
  return { record, survivors, hidden, secrets: [...secrets, ...hidden.values()] }
}

/** What nobody but its owner, or whom it was sent to, may ever read: also after a session, and of every member. */
function secretsIn(cohort: Cohort, parcels: readonly Parcel[], survivors: readonly number[]): readonly Bytes[] {
  const own = cohort.sites.flatMap((_, index) => {
    const { root, self, maskRoot, channel, mask } = secretsOf(chanceOf(cohort, index + 1)(32), cohort.suite)
    // One of the two is revealed: a survivor's seed, a dropout's root and with it its mask key.
    return [root, channel.secretKey, ...(survivors.includes(index + 1) ? [maskRoot, mask.secretKey] : [self])]
  })
  const boxes = parcels.flatMap(({ boxes }) => boxes.map(({ box }) => box))
  return [...own, ...boxes, ...cohort.inputs.map((lanes) => encodeLanes(lanes))]
}

/** What the manifest names of it, and every message under its seal. */
export async function keepSession(
  { store, secure }: Stage,
  record: SessionRecord,
  hidden: ReadonlyMap<string, Bytes>,
  change: (lists: readonly (readonly MaskCt[])[]) => readonly (readonly MaskCt[])[],
): Promise<SessionManifest> {
  await keepAll(store, record)
  const maskCts: Cid[] = []
  for (const list of change(secure.suite === SUITE_HYBRID ? publishedOf(record) : []))
    maskCts.push(await store.maskCts(list))
  const { roster, shared, survivors, certificate, result } = record
  const withheld = record.inputs.map(({ body }) => hidden.get(toHex(body.sha256)))
  const large = withheld.filter((bytes) => bytes !== undefined && bytes.length > BLOCK_BYTES_MAX) as Bytes[]
  const vectorRoots = await Promise.all(large.map(async (bytes) => digestOf(await rootOf(bytes))))
  return {
    ...{ roster: roster.cid, shared: shared.cid, survivors: survivors.cid },
    ...{ certificate: certificate.cid, result: result.cid, maskCts },
    ...(large.length > 0 ? { vectorRoots } : {}),
  }
}

/** What a file is named by, kept nowhere. */
function rootOf(bytes: Bytes): Promise<Cid> {
  return importFile(once(bytes), async () => undefined)
}

/** Of every survivor those to higher dropouts. */
function publishedOf({ shared, survivors, maskCts }: SessionRecord): readonly (readonly MaskCt[])[] {
  const alive = survivors.body.list.map(({ u }) => u)
  const lost = shared.body.list.map(({ u }) => u).filter((v) => !alive.includes(v))
  const of = (u: number) =>
    lost.flatMap((v) => maskCts.filter((one) => v > u && one.u === u && one.v === v)).toSorted((a, b) => a.v - b.v)
  return alive.map(of).filter((list) => list.length > 0)
}

async function keepAll(store: Store, record: SessionRecord): Promise<void> {
  const { roster, adverts, shared, keys, survivors, inputs, certificate, result } = record
  for (const { signed } of [roster, ...adverts, shared, ...keys, survivors, ...inputs, certificate, result])
    await store.sealed(signed)
}

/** Sessions that were abandoned once their inputs were in. */
const unfinished = new Map<string, ReturnType<typeof abandonSession>>()

function abandonOnce(cohort: Cohort): ReturnType<typeof abandonSession> {
  const key = keyOf(cohort, {})
  const known = unfinished.get(key) ?? abandonSession(cohort)
  unfinished.set(key, known)
  return known
}

async function abandonSession(cohort: Cohort) {
  const out = must(shareOut(cohort, dealAll(cohort)))
  const vectors = new Vectors()
  const masked = await maskAll(cohort, out.keyed, vectors)
  const abandons = [...masked.values()].map((state) => must(abandon(state)).say)
  return { out, vectors, masked, abandons, secrets: secretsIn(cohort, out.dealt.parcels, []) }
}

/** A session that opens no sum, as the next plan tells of it. */
export async function playEnding(stage: Stage, act: Act, fate: Fate) {
  const cohort = cohortOf(stage, act)
  const keep = (said: Said<'Abandon' | 'Roster' | 'Advert' | 'MaskedInput'>) => stage.store.sealed(said.signed)
  if (fate === 'certified') {
    const { record, secrets } = await playSession(stage, act, {})
    const { roster, shared, survivors, certificate } = record
    const certified = { shared: shared.cid, survivors: survivors.cid, certificate: certificate.cid }
    const updates = record.inputs.map(({ cid }) => cid)
    return { ending: { round: act.round, roster: roster.cid, certified, abandons: [] }, abandons: [], updates, secrets }
  }
  const { out, vectors, masked, abandons, secrets } = await abandonOnce(cohort)
  const inputs = [...masked.values()].map(({ input }) => input).toSorted((a, b) => a.body.u - b.body.u)
  for (const said of [out.dealt.roster, ...out.dealt.adverts, ...inputs]) await keep(said)
  if (stage.secure.publish === 'full')
    for (const bytes of vectors.bytes.values()) await stage.store.file(new Uint32Array(bytes.slice().buffer))
  const cids: Cid[] = []
  for (const said of abandons) cids.push(await keep(said))
  const ending = { round: act.round, roster: out.dealt.roster.cid, certified: null, abandons: cids }
  const updates = inputs.map(({ cid }) => cid)
  return { ending, abandons, updates, secrets }
}

/** The same set once more over other inputs, signed by all of it: a record that holds up to its sum. */
export function certifiedAnew(record: SessionRecord, inputs: SessionRecord['inputs'], at: Stage): SessionRecord {
  const { coordinator, members } = at
  const list = inputs.map(({ body, cid }) => ({ u: body.u, cid }))
  const survivors = say(coordinator, 'Survivors', { ...record.survivors.body, list })
  const { sid } = survivors.body
  const sigs = list.map(({ u }) => {
    const { signed } = say(members[u - 1] as Signer, 'Confirm', { sid, u, u3Hash: survivors.hash })
    return { u, sig: signed.signature }
  })
  const certificate = say(coordinator, 'QuorumCert', { sid, u3Hash: survivors.hash, sigs })
  const result = say(coordinator, 'Result', { ...record.result.body, u3Hash: survivors.hash })
  return { ...record, inputs, survivors, certificate, result }
}
