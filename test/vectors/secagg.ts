import { maskCiphertext, pairOf, sealShares } from '#aggregation/secagg/channel.ts'
import {
  channelKey,
  coefficientKey,
  kemCoins,
  pairMaskSeed,
  type Secrets,
  secretsOf,
  selfCommitment,
  selfMaskSeed,
  sessionId,
} from '#aggregation/secagg/derive.ts'
import { decapsulate } from '#aggregation/secagg/kem.ts'
import { type Mask, openMasker, opposite } from '#aggregation/secagg/mask.ts'
import { SUITE_HYBRID, SUITE_X25519, type Suite, say } from '#aggregation/secagg/messages.ts'
import { split } from '#aggregation/secagg/shamir.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { keystream, sha256, x25519 } from '#crypto'
import { concat, toHex, utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import { type Bytes, type Cid, nodeIdOf, publicKeyOf } from '#protocol/ids.ts'
import { must } from '#test/aggregation/given.ts'
import { chanceOf, cohortOf } from '#test/secagg/cohort.ts'
import { play } from '#test/secagg/play.ts'

/**
 * The vectors of the secure aggregation specification, whose first edition two other implementations computed as well: five
 * members, t = 3, 24 lanes without check lanes, member 3 drops out. Identity keys and session id are placeholders.
 */
const sid = sha256(utf8('secagg/1 test sid'))
const indices = [1, 2, 3, 4, 5]
const idOf = (u: number) => nodeIdOf(sha256(utf8(`secagg/1 test id ${u}`)))

export function secaggVectors() {
  const [plain, hybrid] = [SUITE_X25519, SUITE_HYBRID].map((suite) => members(suite as Suite)) as [Members, Members]
  const [first, second] = [plain[1], plain[2]] as [Secrets, Secrets]
  const t = 3
  const shares = {
    root: split(first.maskRoot, t, 5, coefficientKey(first.root, sid, 'root')),
    self: split(first.self, t, 5, coefficientKey(first.root, sid, 'self')),
  }
  const pair = pairOf(first.mask, second.mask.publicKey, { sid, from: 1, to: 2 }, undefined)
  const seed = pairMaskSeed(pair, sid, 1, 2)
  const sealed = sealShares(
    first.channel,
    { x25519: second.channel.publicKey, kem: undefined },
    { sid, from: 1, to: 2 },
    { root: new Uint8Array(32).fill(0xaa), self: new Uint8Array(32).fill(0xbb) },
    (length) => Uint8Array.from({ length }, (_, index) => index),
  )
  const masked = maskAll(plain)
  const kem = maskCiphertext(hybrid[1].maskRoot, hybrid[2].mask.kem?.publicKey as Bytes, sid, 2)
  const maskedHybrid = maskAll(hybrid)
  const confirm = say(signerOf(sha256(utf8('secagg/1 test ed25519 1'))), 'Confirm', {
    sid,
    u: 1,
    u3Hash: sha256(utf8('secagg/1 test u3')),
  })
  return {
    sid: toHex(sid),
    root_1: toHex(first.root),
    b_1: toHex(first.self),
    maskRoot_1: toHex(first.maskRoot),
    cPk_1: toHex(first.channel.publicKey),
    sPk_1: toHex(first.mask.publicKey),
    bCommit_1: toHex(selfCommitment(idOf(1), first.self)),
    sPk_2: toHex(second.mask.publicKey),
    pair_12: toHex(pair),
    prgSeed_12: toHex(seed),
    prgLanes_12: [...lanesOf(seed, 8)],
    chan_12: toHex(
      channelKey(x25519(first.channel.secretKey, second.channel.publicKey) as Bytes, sid, 1, 2, new Uint8Array(0)),
    ),
    box_12: toHex(sealed.box),
    rootShare_1_at_2: toHex(shares.root[1] as Bytes),
    selfShare_1_at_5: toHex(shares.self[4] as Bytes),
    sha256_y: masked.map(hashOf),
    sum: toHex(encodeLanes(sumOf(plain, masked))),
    sha256_sum: hashOf(sumOf(plain, masked)),
    hybrid: {
      sha256_sKemPk_1: toHex(sha256(hybrid[1].mask.kem?.publicKey as Bytes)),
      sha256_sKemPk_2: toHex(sha256(hybrid[2].mask.kem?.publicKey as Bytes)),
      sha256_cKemPk_1: toHex(sha256(hybrid[1].channel.kem?.publicKey as Bytes)),
      coins_12: toHex(kemCoins(hybrid[1].maskRoot, sid, 2)),
      sha256_mKemCt_12: toHex(sha256(kem.ciphertext)),
      kemShared_12: toHex(kem.shared),
      pair_12: toHex(pairOf(hybrid[1].mask, hybrid[2].mask.publicKey, { sid, from: 1, to: 2 }, kem)),
      sha256_y: maskedHybrid.map(hashOf),
      sha256_sum: hashOf(sumOf(hybrid, maskedHybrid)),
    },
    confirm: {
      idPk: toHex(publicKeyOf(confirm.from)),
      body: toHex(confirm.signed.body),
      signed: toHex(concat(utf8('secagg/1 sig\0Confirm\0'), confirm.hash)),
      signature: toHex(confirm.signed.signature),
      cid: confirm.cid,
    },
  }
}

/** A whole session as its messages: four members, the second drops out after it shared its keys. */
export async function secaggSession() {
  const cohort = cohortOf('vector session', 4, { parameters: 3 })
  const { record, answers, vectors, sum } = must(await play(cohort, { mask: [2] }))
  const { roster, adverts, shared, keys, survivors, inputs, certificate, result } = record
  const cids = (said: readonly { readonly cid: Cid }[]) => said.map(({ cid }) => cid)
  return {
    coordinator: cohort.coordinator.id,
    members: cohort.sites.map(({ signer }) => signer.id),
    roots: cohort.sites.map((_, index) => toHex(chanceOf(cohort, index + 1)(32))),
    inputs: cohort.inputs.map((vector) => toHex(encodeLanes(vector))),
    advert_1: toHex((adverts[0] as (typeof adverts)[number]).signed.body),
    adverts: cids(adverts),
    roster: toHex(roster.signed.body),
    rosterCid: roster.cid,
    sid: toHex(sessionId(roster.hash)),
    shareKeys_1: toHex((keys[0] as (typeof keys)[number]).signed.body),
    shareKeys: cids(keys),
    shared: toHex(shared.signed.body),
    u2Hash: toHex(shared.hash),
    maskedInput_1: toHex((inputs[0] as (typeof inputs)[number]).signed.body),
    maskedInputs: cids(inputs),
    masked: inputs.map(({ body }) => toHex(vectors.of(body))),
    survivors: toHex(survivors.signed.body),
    u3Hash: toHex(survivors.hash),
    certificateCid: certificate.cid,
    unmask_1: toHex((answers[0] as (typeof answers)[number]).signed.body),
    result: toHex(result.signed.body),
    resultCid: result.cid,
    sum: toHex(encodeLanes(sum)),
  }
}

type Members = Readonly<Record<number, Secrets>> & { readonly 1: Secrets; readonly 2: Secrets }

function members(suite: Suite): Members {
  const made = indices.map((u) => [u, secretsOf(sha256(utf8(`secagg/1 test client ${u}`)), suite)] as const)
  return Object.fromEntries(made) as unknown as Members
}

/** y_1 … y_5, everyone masking against everyone. */
function maskAll(all: Members): readonly RingVector[] {
  return indices.map((u) => {
    const vector = inputOf(u)
    const own: Mask = { seed: selfMaskSeed((all[u] as Secrets).self, sid, u), sign: 1 }
    const pairs = indices.filter((v) => v !== u).map((v): Mask => ({ seed: pairSeed(all, u, v), sign: u < v ? 1 : -1 }))
    openMasker(vector.length).add(vector, [own, ...pairs], 0)
    return vector
  })
}

function pairSeed(all: Members, u: number, v: number): Bytes {
  const [own, peer] = [all[u], all[v]] as [Secrets, Secrets]
  return pairMaskSeed(pairOf(own.mask, peer.mask.publicKey, { sid, from: u, to: v }, kemOf(all, u, v)), sid, u, v)
}

/** The lower one makes the ciphertext, the higher one opens it. */
function kemOf(all: Members, u: number, v: number) {
  const [low, high] = [all[Math.min(u, v)], all[Math.max(u, v)]] as [Secrets, Secrets]
  if (!high.mask.kem) return undefined
  const kem = maskCiphertext(low.maskRoot, high.mask.kem.publicKey, sid, Math.max(u, v))
  if (u < v) return kem
  return { ciphertext: kem.ciphertext, shared: decapsulate(high.mask.kem.secretKey, kem.ciphertext) }
}

/** 8 header lanes and 16 of payload. */
function inputOf(u: number): RingVector {
  const payload = Array.from({ length: 16 }, (_, i) => (1_000_003 * u + 7_919 * i) % 2 ** 24)
  return Uint32Array.from([100 * u, 1, 0, 0, 0, 0, 0, 0, ...payload])
}

/** The masked vectors of 1, 2, 4 and 5, with every mask taken off that did not cancel. */
function sumOf(all: Members, masked: readonly RingVector[]): RingVector {
  const sum = new Uint32Array(24)
  const survivors = indices.filter((u) => u !== 3)
  for (const u of survivors)
    for (const [lane, value] of (masked[u - 1] as RingVector).entries()) sum[lane] = (sum[lane] as number) + value
  const left = survivors.flatMap((u): Mask[] => [
    { seed: selfMaskSeed((all[u] as Secrets).self, sid, u), sign: 1 },
    { seed: pairSeed(all, 3, u), sign: u < 3 ? 1 : -1 },
  ])
  openMasker(24).add(sum, opposite(left), 0)
  return sum
}

function hashOf(vector: RingVector): string {
  return toHex(sha256(encodeLanes(vector)))
}

function lanesOf(seed: Bytes, lanes: number): RingVector {
  const counter = new Uint8Array(16)
  counter.set(seed.subarray(32))
  return new Uint32Array(keystream(seed.subarray(0, 32), counter)(lanes * 4).slice().buffer)
}
