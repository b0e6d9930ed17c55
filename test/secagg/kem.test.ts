import { spawnSync } from 'node:child_process'
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  encapsulate as encapsulateByOpenSsl,
  decapsulate as openByOpenSsl,
} from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import fc from 'fast-check'
import { decapsulate, encapsulate, isKemKey, kemKeys } from '#aggregation/secagg/kem.ts'
import { concat, fromHex, toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'

/** ML-KEM-768 beside others: OpenSSL, the standard written out in Python, and the hash that Go publishes. */

/** PKCS#8 with the seed alone, and SPKI, of ML-KEM-768. */
const PKCS8 = fromHex('3054020100300b060960864801650304040204428040')
const SPKI = fromHex('308204b2300b0609608648016503040402038204a100')
const openSslKey = (seed: Bytes) =>
  createPrivateKey({ key: Buffer.from(concat(PKCS8, seed)), format: 'der', type: 'pkcs8' })

function isOpenSslKey(publicKey: Bytes): boolean {
  try {
    createPublicKey({ key: Buffer.from(concat(SPKI, publicKey)), format: 'der', type: 'spki' })
    return true
  } catch {
    return false
  }
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

/** What Node uses, and what a browser does. */
const backends = {
  node: { kemKeys, decapsulate },
  noble: {
    kemKeys: (seed: Bytes) => ml_kem768.keygen(seed),
    decapsulate: (secretKey: Bytes, ciphertext: Bytes) => ml_kem768.decapsulate(ciphertext, secretKey),
  },
} as const
type Backend = (typeof backends)[keyof typeof backends]

describe.each(Object.entries(backends))('ML-KEM-768 by %s', (_name, backend) => {
  const { kemKeys, decapsulate } = backend

  test('makes of a seed the key that OpenSSL makes', () => {
    fc.assert(
      fc.property(bytes(64), (seed) => {
        const spki = createPublicKey(openSslKey(seed)).export({ format: 'der', type: 'spki' })
        const { publicKey } = kemKeys(seed)
        expect(toHex(concat(SPKI, publicKey))).toBe(toHex(spki))
        expect(isKemKey(publicKey)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  test('opens what OpenSSL seals, and the other way', () => {
    fc.assert(
      fc.property(bytes(64), bytes(32), (seed, coins) => {
        const { publicKey, secretKey } = kemKeys(seed)
        const own = encapsulate(publicKey, coins)
        expect(toHex(openByOpenSsl(openSslKey(seed), own.ciphertext))).toBe(toHex(own.shared))
        const { ciphertext, sharedKey } = encapsulateByOpenSsl(createPublicKey(openSslKey(seed)))
        expect(toHex(decapsulate(secretKey, ciphertext))).toBe(toHex(sharedKey))
      }),
      { numRuns: 50 },
    )
  })

  test('rejects a ciphertext that was made for nobody with the same secret as OpenSSL', () => {
    fc.assert(
      fc.property(bytes(64), bytes(32), fc.nat(1087), fc.integer({ min: 1, max: 255 }), (seed, coins, at, flip) => {
        const { publicKey, secretKey } = kemKeys(seed)
        const { ciphertext, shared } = encapsulate(publicKey, coins)
        ciphertext[at] = (ciphertext[at] as number) ^ flip
        const rejected = toHex(decapsulate(secretKey, ciphertext))
        expect(rejected).not.toBe(toHex(shared))
        expect(rejected).toBe(toHex(openByOpenSsl(openSslKey(seed), ciphertext)))
      }),
      { numRuns: 50 },
    )
  })

  test('takes the keys that OpenSSL takes: those with all coefficients below 3329', () => {
    const sound = kemKeys(new Uint8Array(64)).publicKey
    const edge = fc.oneof(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 3327, max: 3330 }))
    fc.assert(
      fc.property(fc.nat(767), edge, (place, coefficient) => {
        const key = Uint8Array.from(sound)
        const [at, odd] = [Math.floor((place * 3) / 2), place % 2]
        const [low, high] = [key[at], key[at + 1]] as [number, number]
        key[at] = odd ? (low & 15) | ((coefficient & 15) << 4) : coefficient & 255
        key[at + 1] = odd ? coefficient >> 4 : (high & 240) | (coefficient >> 8)
        expect(isKemKey(key)).toBe(coefficient < 3329)
        expect(isOpenSslKey(key)).toBe(coefficient < 3329)
      }),
      { numRuns: 200 },
    )
  })

  test('gives the hash over a hundred keys, ciphertexts, secrets and rejections that Go’s crypto/mlkem publishes', () => {
    expect(accumulated(100, backend)).toBe('1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415')
  })
})

/** See fips203.py, where the same is said in Python. */
function accumulated(draws: number, { kemKeys, decapsulate }: Backend): string {
  const stream = createHash('shake128', { outputLength: 1184 * draws }).digest()
  const hash = createHash('shake128', { outputLength: 32 })
  for (let at = 0; at < stream.length; at += 1184) {
    const [seed, coins, junk] = [stream.subarray(at), stream.subarray(at + 64), stream.subarray(at + 96)].map(
      (rest, index) => Uint8Array.from(rest.subarray(0, [64, 32, 1088][index])),
    ) as [Bytes, Bytes, Bytes]
    const { publicKey, secretKey } = kemKeys(seed)
    const { ciphertext, shared } = encapsulate(publicKey, coins)
    expect(toHex(decapsulate(secretKey, ciphertext))).toBe(toHex(shared))
    for (const part of [publicKey, ciphertext, shared, decapsulate(secretKey, junk)]) hash.update(part)
  }
  return hash.digest('hex')
}

const python = spawnSync('python3', ['--version'], { encoding: 'utf8' })
if (python.status !== 0) console.log('skipped: there is no python3 here to compute ML-KEM a second time')
const withPython = python.status === 0 ? test : test.skip

withPython(
  'ML-KEM-768 written out from FIPS 203 in Python gives the same keys, ciphertexts, secrets and rejections',
  () => {
    const said = spawnSync('python3', ['-B', join(import.meta.dirname, 'fips203.py'), '10'], { encoding: 'utf8' })
    expect(said.stderr).toBe('')
    expect(said.stdout.trim()).toBe(accumulated(10, backends.noble))
  },
)
