import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { z } from 'zod'
import { fromHex, toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import {
  amountField,
  bytesField,
  cidField,
  count,
  type DecodeRefusal,
  decode,
  encode,
  linksOf,
  nodeIdField,
} from '#protocol/codec.ts'
import { bytesOf, cids } from './arbitraries.ts'

const anything = z.unknown()

/** Other encodings of values that have a canonical one, and what DAG-CBOR does not have at all. */
const foreign: readonly (readonly [name: string, hex: string, refusal: DecodeRefusal])[] = [
  ['unsorted keys', 'a2616201616101', 'not-canonical'],
  ['keys sorted by bytes, not by length first', 'a262616101616201', 'not-canonical'],
  ['duplicate keys', 'a2616101616102', 'malformed'],
  ['a long integer of 2 bytes', '1801', 'malformed'],
  ['a long integer of 3 bytes', '190001', 'malformed'],
  ['a long integer of 5 bytes', '1a00000001', 'malformed'],
  ['a long integer of 9 bytes', '1b0000000000000001', 'malformed'],
  ['a long negative integer', '3800', 'malformed'],
  ['a long text length', '780161', 'malformed'],
  ['a long byte length', '580161', 'malformed'],
  ['a long list length', '980101', 'malformed'],
  ['a long map length', 'b801616101', 'malformed'],
  ['a half float', 'f93e00', 'not-canonical'],
  ['a single float', 'fa3fc00000', 'not-canonical'],
  ['a float that is an integer', 'fb3ff0000000000000', 'not-canonical'],
  ['a negative zero', 'fb8000000000000000', 'not-canonical'],
  ['NaN', 'fb7ff8000000000000', 'malformed'],
  ['a half NaN', 'f97e00', 'malformed'],
  ['infinity', 'fb7ff0000000000000', 'malformed'],
  ['undefined', 'f7', 'not-canonical'],
  ['a simple value', 'e0', 'malformed'],
  ['a long simple value', 'f814', 'malformed'],
  ['a date, tag 0', 'c06131', 'malformed'],
  ['a bignum, tag 2', 'c24101', 'malformed'],
  ['self-described CBOR, tag 55799', 'd9d9f700', 'malformed'],
  ['a link with a long tag', `d9002a58250001711220${'00'.repeat(32)}`, 'malformed'],
  ['a link without its leading zero', `d82a582401711220${'00'.repeat(32)}`, 'malformed'],
  ['a link that is a text', 'd82a6130', 'malformed'],
  ['a link with a long multihash code', `d82a5826000171920020${'00'.repeat(32)}`, 'malformed'],
  ['an indefinite list', '9fff', 'malformed'],
  ['an indefinite map', 'bfff', 'malformed'],
  ['indefinite bytes', '5f4101ff', 'malformed'],
  ['an indefinite text', '7f6161ff', 'malformed'],
  ['a key that is no text', 'a10101', 'malformed'],
  ['text that is not UTF-8', '61ff', 'not-canonical'],
  ['bytes after the end', '0101', 'malformed'],
  ['nothing', '', 'malformed'],
  ['a list cut short', '8201', 'malformed'],
  ['a list that promises 2^64 - 1 items', '9bffffffffffffffff', 'malformed'],
  ['bytes that promise 2^62', '5b4000000000000000', 'malformed'],
  ['a bomb of nested lists', '81'.repeat(60_000), 'malformed'],
  ['a bomb of nested maps', 'a16161'.repeat(20_000), 'malformed'],
]

describe('what is not canonical DAG-CBOR is refused by name, never thrown', () => {
  test.each(foreign)('%s', (_name, hex, refusal) => {
    const bytes = fromHex(hex)
    expect(decode(anything, bytes, 65_536)).toMatchObject({ ok: false, refusal })
  })

  test('more bytes than the limit are refused before they are read', () => {
    expect(decode(anything, new Uint8Array(11), 10)).toMatchObject({ ok: false, refusal: 'too-large' })
    expect(decode(anything, Uint8Array.of(0x80), 1)).toEqual({ ok: true, value: [] })
  })
})

describe('what is canonical but not of the shape is refused as such', () => {
  const shape = z.strictObject({
    a: count(10),
    c: cidField.optional(),
    k: nodeIdField.optional(),
    m: amountField.optional(),
  })
  const linked = (cid: CID) => toHex(dagCbor.encode({ a: 1, c: cid }))
  const digest = Digest.create(0x12, new Uint8Array(32))

  test.each([
    ['another type', 'a161616131'],
    ['a missing field', 'a0'],
    ['an unknown field', 'a2616101617801'],
    ['a number above the bound', 'a161610b'],
    ['a negative number', 'a1616120'],
    ['a float', 'a16161fb3ff8000000000000'],
    ['an integer above 2^53', 'a161611b0020000000000000'],
    ['a list', '80'],
    ['null', 'f6'],
    ['a node id of 31 bytes', `a2616101616b581f${'00'.repeat(31)}`],
    ['an amount with a leading zero', 'a2616101616d623031'],
    ['a negative amount', 'a2616101616d622d31'],
    ['an amount in words', 'a2616101616d626f6e'],
    ['a link to CIDv0', linked(CID.createV0(digest as never))],
    ['a link to another codec', linked(CID.createV1(0x0129, digest))],
    ['a link by another hash', linked(CID.createV1(RAW, Digest.create(0x1e, new Uint8Array(32))))],
    ['a link that holds its block', linked(CID.createV1(RAW, Digest.create(0, Uint8Array.of(1))))],
    ['a key that would set a prototype', 'a2616101695f5f70726f746f5f5fa0'],
  ])('%s', (_name, hex) => {
    expect(decode(shape, fromHex(hex), 1000)).toMatchObject({ ok: false, refusal: 'wrong-shape' })
  })
})

test.each([
  ['where a list is due', z.array(count(9)).readonly(), '43010203'],
  ['where a list within is due', z.strictObject({ a: z.array(count(9)).readonly() }), 'a1616143010203'],
])('bytes %s are refused, and nothing is thrown', (_where, shape, hex) => {
  expect(decode(shape as z.ZodType, fromHex(hex), 1000)).toMatchObject({ ok: false, refusal: 'wrong-shape' })
})

describe('any bytes', () => {
  const shapes = [
    ...[anything, z.strictObject({ a: count(10) }), z.array(cidField), nodeIdField, bytesField(2)],
    ...[z.array(count(9)).readonly(), z.strictObject({ a: z.array(count(9)).readonly() }).readonly()],
  ]

  test('never make it throw, and what it reads encodes to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...shapes), (bytes, shape: z.ZodType) => {
        const read = decode(shape, bytes, 64)
        if (read.ok) expect(toHex(encode(shape, read.value))).toBe(toHex(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  test('of a valid value with one bit flipped never read as another encoding', () => {
    const value = z.strictObject({
      a: count(2 ** 40),
      b: z.string(),
      c: z.array(cidField),
      d: bytesField(4),
      e: amountField,
    })
    const values = fc.record({
      a: fc.integer({ min: 0, max: 2 ** 31 }),
      b: fc.string({ maxLength: 8 }),
      c: fc.array(cids, { maxLength: 3 }),
      d: bytesOf(4),
      e: fc.bigInt({ min: 0n, max: 10n ** 29n }),
    })
    fc.assert(
      fc.property(values, fc.nat(), (one, at) => {
        const bytes = encode(value, one)
        expect(decode(value, bytes, 4096)).toEqual({ ok: true, value: one })
        const bit = at % (bytes.length * 8)
        const flipped = Uint8Array.from(bytes, (byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
        const read = decode(value, flipped, 4096)
        if (read.ok) expect(toHex(encode(value, read.value))).toBe(toHex(flipped))
      }),
      { numRuns: 500 },
    )
  })
})

test('the links of a block are found in the order of their encoding, however deep', () => {
  const [a, b, c] = [1, 2, 3].map((n) => cidOf(RAW, Uint8Array.of(n)))
  const schema = z.strictObject({
    zz: cidField,
    a: z.array(z.strictObject({ x: cidField })),
    n: z.null(),
    d: bytesField(1),
  })
  const block = encode(schema, { zz: a, a: [{ x: b }, { x: c }], n: null, d: Uint8Array.of(7) } as never)
  expect(linksOf(block)).toEqual([b, c, a])
  expect(cidOf(DAG_CBOR, block)).toMatch(/^bafyrei/)
})
