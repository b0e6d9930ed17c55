import { describe, expect, test } from '@jest/globals'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { concat, fromHex, toHex, utf8 } from '#protocol/bytes.ts'
import { isSoundBy, isSoundKey, SMALL_ORDER } from '#protocol/crypto/ed25519.ts'
import * as noble from '#protocol/crypto/noble.ts'
import * as node from '#protocol/crypto/node.ts'
import type { Bytes } from '#protocol/ids.ts'
import { cryptoConformance } from '#test/conformance/crypto.ts'

cryptoConformance('node:crypto', node)
cryptoConformance('noble', noble)

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

describe('the two backends are one', () => {
  test('what one signs the other verifies, byte for byte', () => {
    fc.assert(
      fc.property(bytes(32), fc.uint8Array({ maxLength: 300 }), (secret, message) => {
        const key = node.publicKey(secret)
        expect(toHex(noble.publicKey(secret))).toBe(toHex(key))
        const signature = node.sign(secret, message)
        expect(toHex(noble.sign(secret, message))).toBe(toHex(signature))
        expect(noble.verify(key, message, signature)).toBe(true)
        expect(node.verify(key, message, noble.sign(secret, message))).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  test('hashes, MACs, derived keys and keystreams agree on any input', () => {
    const input = fc.uint8Array({ maxLength: 200 })
    fc.assert(
      fc.property(input, input, bytes(32), bytes(16), fc.integer({ min: 1, max: 200 }), (a, b, key, iv, length) => {
        expect(toHex(noble.sha256(a))).toBe(toHex(node.sha256(a)))
        expect(toHex(noble.hmacSha256(a, b))).toBe(toHex(node.hmacSha256(a, b)))
        expect(toHex(noble.hkdfSha256(key, a, b, length))).toBe(toHex(node.hkdfSha256(key, a, b, length)))
        expect(toHex(noble.keystream(key, iv)(length))).toBe(toHex(node.keystream(key, iv)(length)))
      }),
      { numRuns: 50 },
    )
  })

  test('any 32 and 64 bytes as key and signature get one verdict', () => {
    fc.assert(
      fc.property(bytes(32), bytes(64), (key, signature) => {
        expect(noble.verify(key, new Uint8Array(3), signature)).toBe(node.verify(key, new Uint8Array(3), signature))
      }),
      { numRuns: 50 },
    )
  })
})

const { BASE, ZERO } = ed25519.Point
const ORDER = ed25519.Point.Fn.ORDER
const TORSION = ed25519.Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05')
const [a, r] = [123_456_789n, 987_654_321n]

function scalar(value: bigint): Bytes {
  return fromHex(value.toString(16).padStart(64, '0')).toReversed()
}

function challenge(R: Bytes, A: Bytes, message: Bytes): bigint {
  return BigInt(`0x${toHex(sha512(concat(R, A, message)).toReversed())}`) % ORDER
}

/** The first message whose challenge is a multiple of 8, so that torsion drops out of the cofactorless equation. */
function grind(R: Bytes, A: Bytes): Bytes {
  for (let n = 0; ; n += 1) {
    const message = utf8(`message ${n}`)
    if (challenge(R, A, message) % 8n === 0n) return message
  }
}

describe('a sound key by X25519 is one by its torsion', () => {
  const same = (key: Bytes) => {
    const verdict = isSoundBy(node.x25519, key)
    expect(verdict).toBe(isSoundKey(key))
    return verdict
  }

  test('of a point and each of the eight of small order, it is sound with none', () => {
    let torsion = ZERO
    for (let order = 0; order < 8; order++) {
      for (const factor of [1n, 2n, a, ORDER - 1n])
        expect(same(BASE.multiply(factor).add(torsion).toBytes())).toBe(order === 0)
      expect(same(torsion.toBytes())).toBe(false)
      torsion = torsion.add(TORSION)
    }
  })

  test('on the curve or off it, canonical or not, the verdict is the same', () => {
    const near = fc.tuple(fc.integer({ min: -40, max: 40 }), fc.constantFrom(0, 0x80)).map(([y, sign]) => {
      const key = scalar(y < 0 ? 2n ** 255n + BigInt(y) : BigInt(y))
      return key.with(31, (key[31] as number) | sign)
    })
    fc.assert(
      fc.property(fc.oneof(bytes(32), near), (key) => void same(key)),
      { numRuns: 100 },
    )
  })

  test('a key of another length is not sound', () => {
    for (const length of [0, 31, 33]) expect(same(new Uint8Array(length).fill(2))).toBe(false)
  })
})

type Crafted = { readonly A: Bytes; readonly message: Bytes; readonly signature: Bytes; readonly lax: boolean }

/** RFC 8032 5.1.7 leaves most of these open. `lax`: the cofactored check of ZIP 215 accepts it. */
const crafted: Readonly<Record<string, () => Crafted>> = {
  'a mixed-order key': () => {
    const A = BASE.multiply(a).add(TORSION).toBytes()
    const R = BASE.multiply(r).toBytes()
    const message = grind(R, A)
    const s = (r + challenge(R, A, message) * a) % ORDER
    return { A, message, signature: concat(R, scalar(s)), lax: true }
  },
  'a mixed-order key whose torsion stays': () => {
    const A = BASE.multiply(a).add(TORSION).toBytes()
    const R = BASE.multiply(r).toBytes()
    const message = utf8('odd')
    const s = (r + challenge(R, A, message) * a) % ORDER
    return { A, message, signature: concat(R, scalar(s)), lax: true }
  },
  'a small-order key': () => {
    const A = TORSION.toBytes()
    const R = BASE.multiply(r).toBytes()
    return { A, message: grind(R, A), signature: concat(R, scalar(r)), lax: true }
  },
  'the identity as key': () => {
    const A = ZERO.toBytes()
    return { A, message: utf8('any'), signature: concat(BASE.multiply(r).toBytes(), scalar(r)), lax: true }
  },
  'a small-order R': () => {
    const A = BASE.multiply(a).toBytes()
    const R = ZERO.toBytes()
    const message = utf8('small R')
    const s = (challenge(R, A, message) * a) % ORDER
    return { A, message, signature: concat(R, scalar(s)), lax: true }
  },
  'a mixed-order R': () => {
    const A = BASE.multiply(a).toBytes()
    const R = BASE.multiply(r).add(TORSION).toBytes()
    const message = utf8('mixed R')
    const s = (r + challenge(R, A, message) * a) % ORDER
    return { A, message, signature: concat(R, scalar(s)), lax: true }
  },
  'small-order key and R, S = 0': () => {
    const A = ZERO.toBytes()
    return { A, message: utf8('zeros'), signature: concat(ZERO.toBytes(), scalar(0n)), lax: true }
  },
  'a non-canonical R': () => {
    const A = BASE.multiply(a).toBytes()
    const R = fromHex(`ee${'ff'.repeat(30)}7f`)
    const message = utf8('non-canonical R')
    const s = (challenge(R, A, message) * a) % ORDER
    return { A, message, signature: concat(R, scalar(s)), lax: true }
  },
  'a non-canonical key': () => {
    const A = fromHex(`ee${'ff'.repeat(30)}7f`)
    return { A, message: utf8('any'), signature: concat(BASE.multiply(r).toBytes(), scalar(r)), lax: true }
  },
  'x = 0 with its sign bit set, as key': () => {
    const A = fromHex(`01${'00'.repeat(30)}80`)
    return { A, message: utf8('any'), signature: concat(BASE.multiply(r).toBytes(), scalar(r)), lax: true }
  },
  'S + L': () => {
    const A = BASE.multiply(a).toBytes()
    const R = BASE.multiply(r).toBytes()
    const message = utf8('large S')
    const s = (r + challenge(R, A, message) * a) % ORDER
    return { A, message, signature: concat(R, scalar(s + ORDER)), lax: false }
  },
  'a key that is no point': () => {
    const A = fromHex(`02${'00'.repeat(31)}`)
    return { A, message: utf8('any'), signature: concat(BASE.multiply(r).toBytes(), scalar(r)), lax: false }
  },
}

describe('a signature that the equation leaves open is refused by both backends', () => {
  test.each(Object.entries(crafted))('%s', (_name, craft) => {
    const { A, message, signature, lax } = craft()
    expect(node.verify(A, message, signature)).toBe(false)
    expect(noble.verify(A, message, signature)).toBe(false)
    expect(ed25519.verify(signature, message, A, { zip215: true })).toBe(lax)
  })

  test('the construction is sound: with a clean key the same recipe verifies', () => {
    const A = BASE.multiply(a).toBytes()
    const R = BASE.multiply(r).toBytes()
    const message = utf8('control')
    const s = (r + challenge(R, A, message) * a) % ORDER
    expect(node.verify(A, message, concat(R, scalar(s)))).toBe(true)
    expect(noble.verify(A, message, concat(R, scalar(s)))).toBe(true)
  })
})

test('the list of small-order encodings is the torsion subgroup', () => {
  const multiples = Array.from({ length: 8 }, (_, n) => (n === 0 ? ZERO : TORSION.multiplyUnsafe(BigInt(n))))
  expect(new Set(multiples.map((point) => point.toHex()))).toEqual(SMALL_ORDER)
  expect(TORSION.multiplyUnsafe(4n).equals(ZERO)).toBe(false)
  expect(multiples.every((point) => point.multiplyUnsafe(8n).equals(ZERO))).toBe(true)
})
