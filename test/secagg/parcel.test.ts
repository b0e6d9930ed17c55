import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  BOX_BYTES,
  type Body,
  KEM_CIPHERTEXT_BYTES,
  MEMBERS_MAX,
  type Parcel,
  parcelSchema,
  type Suite,
  say as sayIn,
} from '#aggregation/secagg/messages.ts'
import { joinParts, partsOf } from '#aggregation/secagg/parcel.ts'
import { equalBytes, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { ATTACHED_EXTRA_BYTES, type Block, isAttachable, open, sealOf, signerOf } from '#protocol/envelope.ts'
import type { RunId } from '#protocol/ids.ts'
import { ATTACHED_BYTES_MAX, FRAME_BYTES_MAX, PARCEL_PARTS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { say } from '#protocol/messages.ts'
import { must, seed } from '#test/aggregation/given.ts'

const signer = signerOf(seed(1))
const sid = seed(2)
const filled = (length: number, tag: number) => new Uint8Array(length).fill(tag)

/** What member u deals to n − 1 others: told apart by its bytes, as large as any. */
function parcelOf(n: number, u: number, suite: Suite): Parcel {
  const others = Array.from({ length: n }, (_, index) => index + 1).filter((v) => v !== u)
  const kem = (v: number) => (suite === 2 ? { cKemCt: filled(KEM_CIPHERTEXT_BYTES, v) } : {})
  const higher = suite === 2 ? others.filter((v) => v > u) : []
  return {
    boxes: others.map((v) => ({ sid, u, v, box: filled(BOX_BYTES, v), ...kem(v) })),
    maskCts: higher.map((v) => ({ sid, u, v, ct: filled(KEM_CIPHERTEXT_BYTES, v) })),
  }
}

/** The ShareKeys beside it, as two blocks. */
function keysOf(n: number, u: number, suite: Suite): readonly Block[] {
  const hash = seed(3)
  const to: Body<'ShareKeys'>['to'] = Array.from({ length: n }, (_, index) => index + 1)
    .filter((v) => v !== u)
    .map((v) => ({ v, hBox: hash, hR: hash, hS: hash, ...(suite === 2 && v > u ? { hM: hash } : {}) }))
  const { seal, body } = sealOf(sayIn(signer, 'ShareKeys', { sid, u, to }).signed)
  return [seal, body]
}

/** Byte by byte, which the matchers take long for. */
function expectSame(found: Parcel, parcel: Parcel) {
  expect(equalBytes(encode(parcelSchema, found), encode(parcelSchema, parcel))).toBe(true)
}

const bytesBeside = (blocks: readonly Block[]) =>
  blocks.reduce((sum, { bytes }) => sum + bytes.length + ATTACHED_EXTRA_BYTES, 0)

const cases = fc.record({
  n: fc.oneof(fc.integer({ min: 3, max: 30 }), fc.integer({ min: 31, max: MEMBERS_MAX })),
  u: fc.nat(),
  suite: fc.constantFrom<Suite>(1, 2),
  besideBytes: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: ATTACHED_BYTES_MAX })),
})

describe('a parcel in parts', () => {
  test('is the same when its parts are put together, in its order', () => {
    fc.assert(
      fc.property(cases, ({ n, u, suite, besideBytes }) => {
        const parcel = parcelOf(n, 1 + (u % n), suite)
        const parts = partsOf(parcel, besideBytes)
        expectSame(must(joinParts(parts.map(({ bytes }) => bytes))), parcel)
        for (const { cid, bytes } of parts) expect(cidOf(DAG_CBOR, bytes)).toBe(cid)
      }),
      { numRuns: 60 },
    )
  })

  test('has no more parts than there are numbers for, each of which a frame holds, and in the first is room beside it', () => {
    fc.assert(
      fc.property(cases, ({ n, u, suite, besideBytes }) => {
        const room = besideBytes % (ATTACHED_BYTES_MAX - 100)
        const parts = partsOf(parcelOf(n, 1 + (u % n), suite), room)
        expect(parts.length).toBeLessThanOrEqual(PARCEL_PARTS_MAX)
        expect(parts.every(({ bytes }) => isAttachable(bytes.length))).toBe(true)
        expect(bytesBeside(parts.slice(0, 1)) + room).toBeLessThanOrEqual(ATTACHED_BYTES_MAX)
      }),
      { numRuns: 100 },
    )
  })

  test.each([
    [1, 1],
    [1, 2],
    [MEMBERS_MAX, 2],
  ] as const)('of member %i of the largest cohort in suite %i goes in whole frames, keys and all', (u, suite) => {
    const keys = keysOf(MEMBERS_MAX, u, suite)
    const parcel = parcelOf(MEMBERS_MAX, u, suite)
    const parts = partsOf(parcel, bytesBeside(keys))
    const about = { run: 'run_7ZZZZZZZZZZZZZZZZZZZZZZZZZ' as RunId, round: ROUNDS_MAX, parts: parts.length }
    const heard = parts.map((part, index) => {
      const beside = index === 0 ? keys : []
      const named = { parcel: part.cid, part: index, ...about }
      const frame = say(
        signer,
        { kind: 'deal', to: signer.id, seq: Number.MAX_SAFE_INTEGER, keys: keys[0]?.cid ?? part.cid, ...named },
        [...beside, part],
      )
      expect(frame.length).toBeLessThanOrEqual(FRAME_BYTES_MAX)
      const { attached } = must(open(frame, FRAME_BYTES_MAX))
      expect(attached.map(({ cid }) => cid)).toEqual([...beside, part].map(({ cid }) => cid))
      return attached.at(-1)?.bytes ?? new Uint8Array(0)
    })
    expectSame(must(joinParts(heard)), parcel)
    expect(parts.length).toBeLessThanOrEqual(6)
  })

  test('to one member, from all others, goes in whole frames too', () => {
    const { boxes, maskCts } = parcelOf(MEMBERS_MAX, 1, 2)
    const turn = <T extends { readonly v: number }>(item: T) => ({ ...item, u: item.v - 1, v: MEMBERS_MAX })
    const own = { boxes: boxes.map(turn), maskCts: maskCts.map(turn) }
    const parts = partsOf(own, 0)
    expect(parts.every(({ bytes }) => isAttachable(bytes.length))).toBe(true)
    expectSame(must(joinParts(parts.map(({ bytes }) => bytes))), own)
  })

  test('of a few members is one part, or an empty one and another where the first frame has no room', () => {
    expect(partsOf(parcelOf(3, 1, 2), 0)).toHaveLength(1)
    expect(partsOf({ boxes: [], maskCts: [] }, 0)).toHaveLength(1)
    const [first, ...rest] = partsOf(parcelOf(3, 1, 2), ATTACHED_BYTES_MAX - 500)
    expect([must(joinParts([first?.bytes ?? new Uint8Array(0)])), rest.length]).toEqual([{ boxes: [], maskCts: [] }, 1])
  })
})

describe('hostile parts', () => {
  const parcel = parcelOf(MEMBERS_MAX, 1, 2)
  const parts = partsOf(parcel, 0).map(({ bytes }) => bytes)
  const [first] = parts as [Uint8Array]

  test.each<[string, readonly Uint8Array[], string]>([
    [
      'more than there are numbers for',
      Array<Uint8Array>(PARCEL_PARTS_MAX + 1).fill(dagCbor.encode({ boxes: [], maskCts: [] })),
      'too-large',
    ],
    ['the same part twice, so that it holds more than all members sent', [...parts, ...parts], 'too-large'],
    ['nothing', [new Uint8Array(0)], 'malformed'],
    ['text', [utf8('a parcel')], 'malformed'],
    ['a part cut short', [first.subarray(0, -1)], 'malformed'],
    ['a part with something after it', [Uint8Array.of(...first, 0)], 'malformed'],
    [
      'a map out of order',
      [Uint8Array.of(0xa2, 0x67, ...utf8('maskCts'), 0x80, 0x65, ...utf8('boxes'), 0x80)],
      'not-canonical',
    ],
    ['a field more', [dagCbor.encode({ boxes: [], maskCts: [], more: 1 })], 'wrong-shape'],
    ['a field less', [dagCbor.encode({ boxes: [] })], 'wrong-shape'],
    [
      'a box of another length',
      [dagCbor.encode({ boxes: [{ sid, u: 1, v: 2, box: filled(BOX_BYTES + 1, 0) }], maskCts: [] })],
      'wrong-shape',
    ],
    [
      'a member that no session has',
      [dagCbor.encode({ boxes: [{ sid, u: 0, v: 2, box: filled(BOX_BYTES, 0) }], maskCts: [] })],
      'wrong-shape',
    ],
    [
      'a ciphertext of another length',
      [dagCbor.encode({ boxes: [], maskCts: [{ sid, u: 1, v: 2, ct: filled(8, 0) }] })],
      'wrong-shape',
    ],
    ['a bad one among good ones', [first, utf8('x'), ...parts.slice(1)], 'malformed'],
  ])('%s: refused', (_, given, refusal) => {
    expect(joinParts(given)).toMatchObject({ ok: false, refusal })
  })

  test('of any bytes never make it throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4, minLength: 1 }), (some) => {
        expect(joinParts(some).ok).toBe(false)
      }),
    )
  })
})
