import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { concat, fromHex, toHex, utf8 } from '#protocol/bytes.ts'
import type * as Crypto from '#protocol/crypto/node.ts'
import type { Bytes } from '#protocol/ids.ts'

/** The same functions from node:crypto and from noble: what one signs or derives, the other must too. */
export type CryptoBackend = typeof Crypto

export function cryptoConformance(name: string, crypto: CryptoBackend): void {
  describe(`crypto conformance: ${name}`, () => {
    test.each(ED25519)('Ed25519 signs and verifies RFC 8032 7.1 $name', ({ secret, key, message, signature }) => {
      expect(toHex(crypto.publicKey(fromHex(secret)))).toBe(key)
      expect(toHex(crypto.sign(fromHex(secret), fromHex(message)))).toBe(signature)
      expect(crypto.verify(fromHex(key), fromHex(message), fromHex(signature))).toBe(true)
      expect(crypto.verify(fromHex(key), concat(fromHex(message), Uint8Array.of(0)), fromHex(signature))).toBe(false)
    })

    test('Ed25519 signs what another implementation of the secure aggregation specification signed', () => {
      const secret = crypto.sha256(utf8('secagg/1 test ed25519 1'))
      expect(toHex(crypto.publicKey(secret))).toBe(CONFIRM.key)
      expect(CONFIRM.signed).toBe(toHex(utf8('secagg/1 sig\0Confirm\0')) + toHex(crypto.sha256(fromHex(CONFIRM.body))))
      expect(toHex(crypto.sign(secret, fromHex(CONFIRM.signed)))).toBe(CONFIRM.signature)
      expect(crypto.verify(fromHex(CONFIRM.key), fromHex(CONFIRM.signed), fromHex(CONFIRM.signature))).toBe(true)
    })

    test('a signature or key of another length is false, not a throw', () => {
      const { key, message, signature } = ED25519[1] as (typeof ED25519)[number]
      const [k, m, s] = [fromHex(key), fromHex(message), fromHex(signature)]
      expect(crypto.verify(k, m, s.subarray(1))).toBe(false)
      expect(crypto.verify(k, m, concat(s, Uint8Array.of(0)))).toBe(false)
      expect(crypto.verify(k.subarray(1), m, s)).toBe(false)
      expect(crypto.verify(new Uint8Array(0), m, new Uint8Array(0))).toBe(false)
      expect(crypto.verify(k, m, new Uint8Array(64))).toBe(false)
    })

    test('a flipped bit of a signature or a key is refused', () => {
      const { key, message, signature } = ED25519[2] as (typeof ED25519)[number]
      const [k, m, s] = [fromHex(key), fromHex(message), fromHex(signature)]
      for (let bit = 0; bit < 512; bit += 3) expect(crypto.verify(k, m, flip(s, bit))).toBe(false)
      for (let bit = 0; bit < 256; bit += 3) expect(crypto.verify(flip(k, bit), m, s)).toBe(false)
    })

    test.each(SHA256)('SHA-256 of FIPS 180-4: %s', (message, digest) => {
      expect(toHex(crypto.sha256(utf8(message)))).toBe(digest)
      const hash = crypto.createSha256()
      for (const byte of utf8(message)) hash.update(Uint8Array.of(byte))
      expect(toHex(hash.digest())).toBe(digest)
    })

    test.each(HMAC)('HMAC-SHA256 of RFC 4231: $name', ({ key, message, mac }) => {
      expect(toHex(crypto.hmacSha256(fromHex(key), fromHex(message)))).toBe(mac)
    })

    test.each(HKDF)('HKDF-SHA256 of RFC 5869: $name', ({ secret, salt, info, out }) => {
      const derived = crypto.hkdfSha256(fromHex(secret), fromHex(salt), fromHex(info), out.length / 2)
      expect(toHex(derived)).toBe(out)
    })

    test('AES-256-CTR gives the keystream of NIST SP 800-38A F.5.5', () => {
      expect(toHex(crypto.keystream(fromHex(CTR.key), fromHex(CTR.iv))(64))).toBe(CTR.keystream)
    })

    test('a keystream read in pieces is the keystream read at once', () => {
      const whole = crypto.keystream(fromHex(CTR.key), fromHex(CTR.iv))(1500)
      const pieces = fc.array(fc.integer({ min: 0, max: 70 }), { maxLength: 20 })
      fc.assert(
        fc.property(pieces, (lengths) => {
          const next = crypto.keystream(fromHex(CTR.key), fromHex(CTR.iv))
          const read = concat(...lengths.map((length) => Uint8Array.from(next(length))))
          expect(toHex(read)).toBe(toHex(whole.subarray(0, read.length)))
        }),
        { numRuns: 50 },
      )
    })

    /** One block from counter `n` is the block that a stream from a lower counter reaches. */
    test.each(CARRIES)('the counter carries over 128 bits: %s', (iv, after) => {
      const stream = crypto.keystream(fromHex(CTR.key), fromHex(iv))
      stream(5)
      stream(11)
      expect(toHex(stream(16))).toBe(toHex(crypto.keystream(fromHex(CTR.key), fromHex(after))(16)))
    })

    test.each(X25519)('X25519 of RFC 7748 5.2: $name', ({ secret, peer, shared }) => {
      expect(toHex(crypto.x25519(fromHex(secret), fromHex(peer)) ?? new Uint8Array(0))).toBe(shared)
    })

    test('an X25519 public key is the base point times its secret', () => {
      const secret = fromHex((X25519[0] as (typeof X25519)[number]).secret)
      expect(toHex(crypto.x25519PublicKey(secret))).toBe(toHex(crypto.x25519(secret, fromHex(BASE)) as Bytes))
    })

    test.each(SMALL_ORDER_U)('X25519 with the small-order key %s answers nothing, never zeros', (key) => {
      for (const last of [0, 0x80]) {
        const peer = fromHex(key)
        peer[31] = (peer[31] as number) | last
        expect(crypto.x25519(new Uint8Array(32).fill(7), peer)).toBeUndefined()
      }
    })

    test('X25519 with a key of another length answers nothing', () => {
      for (const length of [0, 31, 33])
        expect(crypto.x25519(new Uint8Array(32).fill(7), new Uint8Array(length))).toBeUndefined()
    })

    test.each(GCM)('AES-256-GCM of SP 800-38D, case $name', ({ key, nonce, aad, plaintext, sealed }) => {
      const [k, n, a] = [key, nonce, aad].map(fromHex) as [Bytes, Bytes, Bytes]
      expect(toHex(crypto.gcmSeal(k, n, a, fromHex(plaintext)))).toBe(sealed)
      expect(toHex(crypto.gcmOpen(k, n, a, fromHex(sealed)) as Bytes)).toBe(plaintext)
    })

    test('AES-256-GCM opens nothing that was changed by one bit, cut short, or is of another context', () => {
      const { key, nonce, aad, sealed } = GCM[2] as (typeof GCM)[number]
      const [k, n, a, s] = [key, nonce, aad, sealed].map(fromHex) as [Bytes, Bytes, Bytes, Bytes]
      for (let bit = 0; bit < s.length * 8; bit += 7) expect(crypto.gcmOpen(k, n, a, flip(s, bit))).toBeUndefined()
      for (const end of [0, 1, 15, 16, s.length - 1])
        expect(crypto.gcmOpen(k, n, a, s.subarray(0, end))).toBeUndefined()
      expect(crypto.gcmOpen(k, n, new Uint8Array(0), s)).toBeUndefined()
      expect(crypto.gcmOpen(k, flip(n, 0), a, s)).toBeUndefined()
      expect(crypto.gcmOpen(flip(k, 0), n, a, s)).toBeUndefined()
    })

    test('two draws of random bytes are of the asked length and not the same', () => {
      expect(crypto.randomBytes(32)).toHaveLength(32)
      expect(toHex(crypto.randomBytes(32))).not.toBe(toHex(crypto.randomBytes(32)))
    })
  })
}

const BASE = `09${'00'.repeat(31)}`

const X25519 = [
  {
    name: 'the first vector',
    secret: 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
    peer: 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
    shared: 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
  },
  {
    name: 'the second, whose key has its unused bit set',
    secret: '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
    peer: 'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
    shared: '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
  },
  {
    name: 'one step of the iterated one',
    secret: BASE,
    peer: BASE,
    shared: '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079',
  },
] as const

/** Zero, one, two points of order 8, p − 1, and p and p + 1, which are zero and one again. */
const SMALL_ORDER_U: readonly string[] = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]

/** McGrew and Viega's cases for a key of 256 bits, which the publication's reference implementation is tested by. */
const GCM = [
  {
    name: '13, nothing sealed',
    key: '00'.repeat(32),
    nonce: '00'.repeat(12),
    aad: '',
    plaintext: '',
    sealed: '530f8afbc74536b9a963b4f1c4cb738b',
  },
  {
    name: '14, one block',
    key: '00'.repeat(32),
    nonce: '00'.repeat(12),
    aad: '',
    plaintext: '00'.repeat(16),
    sealed: 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
  },
  {
    name: '16, with a context and a part of a block',
    key: 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
    nonce: 'cafebabefacedbaddecaf888',
    aad: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    plaintext:
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    sealed:
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b',
  },
] as const

export function flip(bytes: Bytes, bit: number): Bytes {
  const out = Uint8Array.from(bytes)
  out[bit >> 3] = (out[bit >> 3] as number) ^ (1 << (bit & 7))
  return out
}

const ED25519 = [
  {
    name: 'TEST 1',
    secret: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    name: 'TEST 2',
    secret: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    name: 'TEST 3',
    secret: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    key: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
  {
    name: 'TEST SHA(abc)',
    secret: '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    key: 'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    message:
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    signature:
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  },
] as const

/** A `Confirm` of the secure aggregation specification, section 9.5: another domain, the same Ed25519. */
const CONFIRM = {
  key: '9217e53f3a892c860008ad9036b82a0961db1dca64c8452aec61f847b472633b',
  body: 'a3617501637369645820b528cbcfa440f1a77cc145a68eaa0990103ed1f6e11854ea0d265faa7bc82373667533486173685820856c8ba83f3e5df47d2f79c9ce8296b693fadf50f52de389a1c9fc1bf5a2ffd2',
  signed: '7365636167672f312073696700436f6e6669726d00a884fa513ab031b3fd018d1caa145df97db8304f529dddcf3ddd3ae2bb367a9e',
  signature:
    'd3d9c6fc59ddb8ace70679650c0b9e84c0e50414c4277a01acf4b95ae5c97069917924e5d4d2e0b0427edc9dfe62619cdd2d5ff787feccbd2fbdc317c3f8e60e',
} as const

const SHA256: readonly (readonly [string, string])[] = [
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
]

const HMAC = [
  {
    name: 'case 1',
    key: '0b'.repeat(20),
    message: toHex(utf8('Hi There')),
    mac: 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  },
  {
    name: 'case 2',
    key: toHex(utf8('Jefe')),
    message: toHex(utf8('what do ya want for nothing?')),
    mac: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  },
  {
    name: 'case 6, a key longer than a block',
    key: 'aa'.repeat(131),
    message: toHex(utf8('Test Using Larger Than Block-Size Key - Hash Key First')),
    mac: '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  },
] as const

const upTo = (from: number, to: number): string => toHex(Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i))

const HKDF = [
  {
    name: 'case 1',
    secret: '0b'.repeat(22),
    salt: upTo(0, 0x0c),
    info: upTo(0xf0, 0xf9),
    out: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  {
    name: 'case 2, longer inputs',
    secret: upTo(0, 0x4f),
    salt: upTo(0x60, 0xaf),
    info: upTo(0xb0, 0xff),
    out: 'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  },
  {
    name: 'case 3, no salt and no info',
    secret: '0b'.repeat(22),
    salt: '',
    info: '',
    out: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  },
] as const

/** The keystream is ciphertext ⊕ plaintext of the four blocks of F.5.5. */
const CTR = {
  key: '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
  iv: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff',
  keystream: xor(
    '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6',
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  ),
} as const

const CARRIES: readonly (readonly [iv: string, after: string])[] = [
  ['000000000000000000000000000000ff', '00000000000000000000000000000100'],
  ['000000000000000000000000ffffffff', '00000000000000000000000100000000'],
  ['0000000000000000ffffffffffffffff', '00000000000000010000000000000000'],
  ['ffffffffffffffffffffffffffffffff', '00000000000000000000000000000000'],
]

function xor(a: string, b: string): string {
  const other = fromHex(b)
  return toHex(fromHex(a).map((byte, index) => byte ^ (other[index] as number)))
}
