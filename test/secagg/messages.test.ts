import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  BOX_BYTES,
  type Body,
  bodies,
  bodyBytes,
  hear,
  KEM_CIPHERTEXT_BYTES,
  type Kind,
  MEMBERS_MAX,
  parcelSchema,
  type Said,
  SUITE_HYBRID,
  say,
} from '#aggregation/secagg/messages.ts'
import type { SessionRecord } from '#aggregation/secagg/verification.ts'
import { fromHex, toHex } from '#protocol/bytes.ts'
import { decode, encode } from '#protocol/codec.ts'
import { frameOf, open, sealOf, unseal } from '#protocol/envelope.ts'
import { BLOCK_BYTES_MAX, FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import { cohortOf } from './cohort.ts'
import { play } from './play.ts'

const cohort = cohortOf('messages', 4, { suite: SUITE_HYBRID })
const played = must(await play(cohort, { mask: [4] }))
const { adverts, keys, inputs, roster, shared, survivors, certificate, result } = played.record as SessionRecord
const { cid } = roster
const others: readonly Said<Kind>[] = [
  say(cohort.coordinator, 'Abort', { sid: seed(1), reason: 'too few' }),
  say(cohort.coordinator, 'Abandon', { sid: seed(1), u: 2, confirmed: true }),
  say(cohort.coordinator, 'Confirm', { sid: seed(1), u: 2, u3Hash: seed(2) }),
  say(cohort.coordinator, 'Complaint', { sid: seed(1), u: 2, v: 3, cid, code: 'box' }),
  say(cohort.coordinator, 'Verified', { bundle: cid, model: cid }),
]
const all = [
  roster,
  shared,
  survivors,
  certificate,
  result,
  adverts[0],
  keys[0],
  inputs[0],
  played.answers[0],
  ...others,
] as readonly Said<Kind>[]
/** Of those in these messages, the fields that may be left out. */
const OPTIONAL: Partial<Record<Kind, readonly string[]>> = { Advert: ['cKemPk', 'sKemPk', 'w'], MaskedInput: ['cid'] }
const kinds = all.map((said) => [said.kind, said] as const)

describe('a message', () => {
  test('of every kind is here', () => {
    expect(new Set(kinds.map(([kind]) => kind))).toEqual(new Set(Object.keys(bodies)))
  })

  test.each(kinds)('%s is the same after the wire and after the store', async (kind, said) => {
    const heard = must(hear(kind, must(open(frameOf(said.signed), FRAME_BYTES_MAX))))
    expect({ cid: heard.cid, hash: toHex(heard.hash) }).toEqual({ cid: said.cid, hash: toHex(said.hash) })
    expect(toHex(bodyBytes(kind, heard.body as Body<Kind>))).toBe(toHex(said.signed.body))
    const { seal, body } = sealOf(said.signed)
    expect(must(hear(kind, must(await unseal(seal.bytes, async () => body.bytes)))).cid).toBe(seal.cid)
  })

  test.each(kinds)('%s is refused with a field more, a field less, or as another kind', (kind, said) => {
    const signer = cohort.coordinator
    const wire = dagCbor.decode(said.signed.body) as Record<string, unknown>
    const hearAs = (body: Record<string, unknown>) => hear(kind, signer.sign(kind, dagCbor.encode(body)))
    for (const [name, value] of Object.entries(wire)) {
      const { [name]: _, ...less } = wire
      expect(hearAs(less).ok).toBe(OPTIONAL[kind]?.includes(name) ?? false)
      expect(hearAs({ ...wire, [name]: value === true ? 1 : true }).ok).toBe(false)
      expect(hearAs({ ...wire, [name]: null }).ok).toBe(false)
    }
    expect(hearAs({ ...wire, extra: 1 })).toMatchObject({ refusal: 'wrong-shape' })
    expect(hear(kind === 'Abort' ? 'Confirm' : 'Abort', said.signed)).toMatchObject({ refusal: 'wrong-type' })
  })

  test('with any one bit changed does not open, or does not say the same', () => {
    const said = others[2] as Said<'Confirm'>
    const frame = frameOf(said.signed)
    for (let bit = 0; bit < frame.length * 8; bit += 1) expect(open(flip(frame, bit), FRAME_BYTES_MAX).ok).toBe(false)
  })

  test('of any bytes never makes a decoder throw', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .constantFrom(...all)
        .chain((said) =>
          fc
            .array(fc.nat(said.signed.body.length * 8 - 1), { minLength: 1, maxLength: 4 })
            .map((bits) => bits.reduce(flip, said.signed.body)),
        ),
    )
    fc.assert(
      fc.property(bytes, fc.constantFrom(...(Object.keys(bodies) as Kind[])), (body, kind) => {
        const heard = hear(kind, { from: cohort.coordinator.id, type: kind, body, signature: new Uint8Array(64) })
        if (heard.ok) expect(toHex(bodyBytes(kind, heard.value.body as Body<Kind>))).toBe(toHex(body))
      }),
      { numRuns: 1_000 },
    )
  })
})

/** {sid, u, u3Hash} of a Confirm, otherwise encoded. */
const [sidHex, hashHex] = ['11'.repeat(32), '22'.repeat(32)]
const [u, sid, hash] = ['617501', `637369645820${sidHex}`, `667533486173685820${hashHex}`]
describe('another encoding of the same words is refused', () => {
  const confirm = (hex: string) =>
    hear('Confirm', { from: cohort.coordinator.id, type: 'Confirm', body: fromHex(hex), signature: new Uint8Array(64) })

  test('and the canonical one is not', () => {
    expect(confirm(`a3${u}${sid}${hash}`).ok).toBe(true)
  })

  test.each([
    ['unsorted keys', `a3${sid}${u}${hash}`],
    ['a key twice', `a4${u}${u}${sid}${hash}`],
    ['a long integer', `a3617518 01${sid}${hash}`],
    ['a longer integer', `a361751900 01${sid}${hash}`],
    ['a float', `a36175f93c00${sid}${hash}`],
    ['a double', `a36175fb3ff0000000000000${sid}${hash}`],
    ['a long length', `a3${u}63736964590020${sidHex}${hash}`],
    ['an indefinite map', `bf${u}${sid}${hash}ff`],
    ['a tag', `a36175c101${sid}${hash}`],
    ['undefined', `a36175f7${sid}${hash}`],
    ['something after it', `a3${u}${sid}${hash}00`],
    ['an integer above 2^53', `a361751b0020000000000001${sid}${hash}`],
  ])('%s', (_, hex) => {
    expect(confirm(hex.replaceAll(' ', '')).ok).toBe(false)
  })
})

describe('bounds', () => {
  const index = Array.from({ length: MEMBERS_MAX }, (_, at) => at + 1)
  const h = seed(1)

  test.each([
    ['ShareKeys', { sid: h, u: 1, to: index.slice(1).map((v) => ({ v, hBox: h, hR: h, hS: h, hM: h })) }],
    [
      'Unmask',
      { sid: h, u: 1, u3Hash: h, self: h, bShares: index.slice(1).map((v) => ({ u: v, share: h })), rootShares: [] },
    ],
    ['QuorumCert', { sid: h, u3Hash: h, sigs: index.map((v) => ({ u: v, sig: new Uint8Array(64) })) }],
    ['Shared', { sid: h, ver: 1, list: index.map((v) => ({ u: v, cid })) }],
    ['Roster', { ...roster.body, members: index.map(() => ({ id: cohort.coordinator.id, advert: cid })) }],
  ] as readonly (readonly [Kind, Body<Kind>])[])('a full %s fits a frame', (kind, body) => {
    expect(frameOf(say(cohort.coordinator, kind, body).signed).length).toBeLessThan(FRAME_BYTES_MAX)
  })

  test('a full parcel fits a block', () => {
    const boxes = index.map((v) => ({
      sid: h,
      u: 1,
      v,
      box: new Uint8Array(BOX_BYTES),
      cKemCt: new Uint8Array(KEM_CIPHERTEXT_BYTES),
    }))
    const maskCts = index.map((v) => ({ sid: h, u: 1, v, ct: new Uint8Array(KEM_CIPHERTEXT_BYTES) }))
    const bytes = encode(parcelSchema, { boxes, maskCts })
    expect(bytes.length).toBeLessThan(BLOCK_BYTES_MAX / 2)
    expect(decode(parcelSchema, bytes, BLOCK_BYTES_MAX).ok).toBe(true)
  })

  test('129 entries are refused', () => {
    const list = Array.from({ length: MEMBERS_MAX + 1 }, () => ({ u: 1, cid }))
    expect(() => say(cohort.coordinator, 'Shared', { sid: h, ver: 1, list })).toThrow()
  })
})
