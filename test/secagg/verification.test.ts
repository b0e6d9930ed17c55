import { describe, expect, test } from '@jest/globals'
import { type Body, type Kind, type Said, SUITE_HYBRID, say } from '#aggregation/secagg/messages.ts'
import type { Site } from '#aggregation/secagg/states.ts'
import {
  checkSession,
  checkSum,
  type SessionRecord,
  type VerificationStep,
  verifySession,
} from '#aggregation/secagg/verification.ts'
import { decodeLanes, encodeLanes, HEADER_LANES, lanesOf } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { cidOf, RAW } from '#protocol/cid.ts'
import { must, seed, unscored } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import { type Cohort, cohortOf } from './cohort.ts'
import { type Played, play } from './play.ts'

const cohort = cohortOf('record', 6, { suite: SUITE_HYBRID })
const played = must(await play(cohort, { share: [1], mask: [4] }))
const { record, vectors } = played

/** The same words with a change, signed again by the coordinator or by a member. */
function again<K extends Kind>(said: Said<K>, lies: Partial<Body<K>>, u?: number): Said<K> {
  const signer = u === undefined ? cohort.coordinator : (cohort.sites[u - 1] as Site).signer
  return say(signer, said.kind, { ...said.body, ...lies })
}

const { roster, survivors, certificate, result } = record
const inputs = record.inputs as readonly [Said<'MaskedInput'>, Said<'MaskedInput'>]
const [firstSig, ...sigs] = certificate.body.sigs as [Body<'QuorumCert'>['sigs'][number]]
const [firstSeed, ...seeds] = result.body.selfSeeds as [Body<'Result'>['selfSeeds'][number]]
const [firstRoot] = result.body.roots as [Body<'Result'>['roots'][number]]

const mutations: Readonly<Record<string, readonly [Partial<SessionRecord>, VerificationStep]>> = {
  'another roster': [{ roster: again(roster, { attempt: 2 }) }, 'sharing'],
  'a roster of another coordinator': [{ roster: again(roster, {}, 2) }, 'roster'],
  'a roster with a lower quorum': [{ roster: again(roster, { params: { ...roster.body.params, q: 3 } }) }, 'roster'],
  'adverts of others': [{ adverts: record.adverts.toReversed() }, 'roster'],
  'another U2': [{ shared: again(record.shared, { list: record.shared.body.list.slice(1) }) }, 'sharing'],
  'shares of others': [{ keys: record.keys.toReversed() }, 'sharing'],
  'another U3': [{ survivors: again(survivors, { u2Hash: seed(1) }) }, 'survivors'],
  'a U3 signed by a member': [{ survivors: again(survivors, {}, 2) }, 'survivors'],
  'inputs of others': [{ inputs: record.inputs.toReversed() }, 'survivors'],
  'a certificate with a forged signature': [
    { certificate: again(certificate, { sigs: [{ ...firstSig, sig: flip(firstSig.sig, 9) }, ...sigs] }) },
    'certificate',
  ],
  'a certificate of too few': [{ certificate: again(certificate, { sigs: sigs.slice(1) }) }, 'certificate'],
  'another self seed': [
    { result: again(result, { selfSeeds: [{ ...firstSeed, b: flip(firstSeed.b, 7) }, ...seeds] }) },
    'self-seed',
  ],
  'a self seed less': [{ result: again(result, { selfSeeds: seeds }) }, 'self-seed'],
  'another mask root': [
    { result: again(result, { roots: [{ ...firstRoot, maskRoot: flip(firstRoot.maskRoot, 7) }] }) },
    'mask-root',
  ],
  'a mask root less': [{ result: again(result, { roots: [] }) }, 'mask-root'],
  'no ciphertexts': [{ maskCts: [] }, 'mask-ciphertext'],
  'another sum': [{ result: again(result, { sumSha256: seed(1) }) }, 'sum'],
  'a result of another set': [{ result: again(result, { u3Hash: seed(1) }) }, 'sum'],
  'a result signed by a member': [{ result: again(result, {}, 2) }, 'sum'],
}

const openRecord = () => checkSession(record, cohort.coordinator.id)

describe('the public verifier', () => {
  test('takes an honest record, and finds its sum by itself', async () => {
    const verified = must(await verifySession(record, cohort.coordinator.id, unscored(cohort.parameters), vectors.read))
    expect([...verified.survival.inputs.keys()]).toEqual([2, 3, 5, 6])
    expect(verified.sum[1]).toBe(4)
  })

  test.each(Object.entries(mutations))('rejects %s', async (_, [lie, step]) => {
    const verdict = await verifySession(
      { ...record, ...lie },
      cohort.coordinator.id,
      unscored(cohort.parameters),
      vectors.read,
    )
    expect(verdict).toMatchObject({ ok: false, refusal: step })
  })

  test('rejects a record of another coordinator than the pinned one', async () => {
    const other = cohortOf('other', 3).coordinator.id
    expect(await verifySession(record, other, unscored(cohort.parameters), vectors.read)).toMatchObject({
      ok: false,
      refusal: 'roster',
    })
  })

  test('rejects a vector with one bit flipped, cut short, or too long', async () => {
    const { u } = inputs[0].body
    const bytes = vectors.of(inputs[0].body)
    for (const odd of [flip(bytes, 400), bytes.subarray(16), Uint8Array.of(...bytes, 0)]) {
      const read = async function* (asked: Body<'MaskedInput'>) {
        yield asked.u === u ? odd : vectors.of(asked)
      }
      expect(await verifySession(record, cohort.coordinator.id, unscored(cohort.parameters), read)).toMatchObject({
        ok: false,
        refusal: 'vector',
      })
    }
  })

  test('and the aggregator judge a sum alike', () => {
    const verified = must(openRecord())
    expect(checkSum(verified.survival, unscored(cohort.parameters), played.sum).ok).toBe(true)
    const odd = Uint32Array.from(played.sum)
    odd[2] = 1
    expect(checkSum(verified.survival, unscored(cohort.parameters), odd)).toMatchObject({
      ok: false,
      refusal: 'bad-header',
    })
  })

  test('checks all but the sum where only hashes were published', () => {
    expect(checkSession(record, cohort.coordinator.id).ok).toBe(true)
  })

  test.each(['full', 'commit-only'] as const)(
    'takes a record that publishes %s, and refuses one in which an input is published otherwise',
    async (publish) => {
      const quiet = cohortOf('publication', 4, { publish })
      const { record, vectors, sum } = must(await play(quiet, { mask: [3] }))
      const verified = must(await verifySession(record, quiet.coordinator.id, unscored(quiet.parameters), vectors.read))
      expect(verified.sum).toEqual(sum)
      expect(record.inputs.map(({ body }) => body.cid !== undefined)).toEqual(
        record.inputs.map(() => publish === 'full'),
      )
      const [first] = record.inputs as readonly [Said<'MaskedInput'>]
      const { cid: _, ...named } = first.body
      const other = publish === 'full' ? named : { ...named, cid: cidOf(RAW, vectors.of(first.body)) }
      const odd = say((quiet.sites[0] as Site).signer, 'MaskedInput', other)
      const list = record.survivors.body.list.with(0, { u: 1, cid: odd.cid })
      const survivors = say(quiet.coordinator, 'Survivors', { ...record.survivors.body, list })
      const lie = { ...record, survivors, inputs: record.inputs.with(0, odd) }
      expect(checkSession(lie, quiet.coordinator.id)).toMatchObject({
        ok: false,
        refusal: 'survivors',
        detail: expect.stringContaining('wrong-publication'),
      })
    },
  )
})

describe('a sum that no honest cohort makes is rejected, whoever spoiled it (R9, R10)', () => {
  /** The whole session again, with one member's plain vector spoiled before it was masked. */
  async function spoiled(change: (lanes: Uint32Array) => void): Promise<readonly [Cohort, Played]> {
    const honest = cohortOf('spoiled', 4)
    const vector = Uint32Array.from(honest.inputs[2] as Uint32Array)
    change(vector)
    const cheat = { ...honest, inputs: honest.inputs.with(2, vector) }
    return [cheat, must(await play(cheat))]
  }

  const last = lanesOf(5) - 1
  test.each([
    ['lane 2', 2, 1],
    ['lane 6', 6, 256],
    ['lane 7', 7, 1],
    ['the padding', HEADER_LANES + 9, 1],
    ['the last check lane', last, 1],
    ['a payload far beyond the group’s range', HEADER_LANES, 2 ** 31],
    ['more rows right than there are', HEADER_LANES + 6, 1_000],
    ['more rows than a site stands for, so that its figures would drown the others’', HEADER_LANES + 5, 4 * 65_536],
  ])('by %s', async (_, lane, value) => {
    const [cheat, { record, vectors }] = await spoiled((lanes) => {
      lanes[lane] = ((lanes[lane] as number) + value) >>> 0
    })
    const verdict = await verifySession(record, cheat.coordinator.id, unscored(cheat.parameters), vectors.read)
    expect(verdict).toMatchObject({ ok: false, refusal: 'ranges' })
  })

  test.each([
    ['a weight of 1 for all', 0, -3],
    ['one weight more', 0, 1],
    ['one report less', 1, -1],
  ] as const)('by %s, said of the sum', async (_, lane, change) => {
    const honest = cohortOf('forged header', 4)
    const { record, vectors, sum } = must(await play(honest))
    // Somebody who knows the seeds takes lanes away from one masked vector, and signs that as its own.
    const cheat = honest.sites[0] as Site
    const own = record.inputs[0] as Said<'MaskedInput'>
    const lanes = Uint32Array.from(decodeLanes(vectors.of(own.body)))
    lanes[lane] = (lanes[lane] as number) + change
    const bytes = encodeLanes(lanes)
    const cid = cidOf(RAW, bytes)
    vectors.bytes.set(cid, bytes)
    const input = say(cheat.signer, 'MaskedInput', { ...own.body, cid, sha256: sha256(bytes) })
    const forged = await forge(honest, record, input, sum, [lane, change])
    const verdict = await verifySession(forged, honest.coordinator.id, unscored(honest.parameters), vectors.read)
    expect(verdict).toMatchObject({ ok: false, refusal: 'ranges' })
  })
})

/** All members sign the forged set: the record is consistent up to its sum. */
async function forge(
  honest: Cohort,
  record: SessionRecord,
  input: Said<'MaskedInput'>,
  sum: Uint32Array,
  [lane, change]: readonly [number, number],
): Promise<SessionRecord> {
  const inputs = record.inputs.with(0, input)
  const list = inputs.map(({ body, cid }) => ({ u: body.u, cid }))
  const survivors = say(honest.coordinator, 'Survivors', { ...record.survivors.body, list })
  const { sid } = record.survivors.body
  const sigs = honest.sites.map(({ signer }, index) => {
    const confirm = say(signer, 'Confirm', { sid, u: index + 1, u3Hash: survivors.hash })
    return { u: index + 1, sig: confirm.signed.signature }
  })
  const certificate = say(honest.coordinator, 'QuorumCert', { sid, u3Hash: survivors.hash, sigs })
  const forged = Uint32Array.from(sum)
  forged[lane] = (forged[lane] as number) + change
  const sumSha256 = sha256(encodeLanes(forged))
  const result = say(honest.coordinator, 'Result', { ...record.result.body, u3Hash: survivors.hash, sumSha256 })
  return { ...record, inputs, survivors, certificate, result }
}
