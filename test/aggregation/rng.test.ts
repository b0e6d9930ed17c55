import { createCipheriv } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { uint32Stream, unitStream } from '#aggregation/rng.ts'
import { seed } from './given.ts'

test('the first words are the AES-256 of the counter, little-endian', () => {
  // AES-256 of the zero block under the zero key is dc95c078a2408989ad48a21492842087.
  const next = uint32Stream(new Uint8Array(32))
  expect([next(), next(), next(), next()]).toEqual([0x78c095dc, 0x898940a2, 0x14a248ad, 0x87208492])
})

test('every bit of the seed counts', () => {
  const first = new Set<number>()
  for (let bit = 0; bit < 256; bit++) {
    const key = new Uint8Array(32)
    key[bit >> 3] = 1 << (bit & 7)
    first.add(uint32Stream(key)())
  }
  expect(first.size).toBe(256)
})

test('the stream goes on across its steps as one keystream', () => {
  const count = 40_000
  const cipher = createCipheriv('aes-256-ctr', seed(7), new Uint8Array(16))
  const whole = new DataView(new Uint8Array(cipher.update(new Uint8Array(count * 4))).buffer)
  const next = uint32Stream(seed(7))
  let different = 0
  for (let i = 0; i < count; i++) if (next() !== whole.getUint32(i * 4, true)) different++
  expect(different).toBe(0)
})

test('units are words over 2^32, so never 1', () => {
  const [word, unit] = [uint32Stream(seed(3)), unitStream(seed(3))]
  for (let i = 0; i < 1000; i++) expect(unit() * 2 ** 32).toBe(word())
})

test('a seed of another length is a mistake of ours', () => {
  expect(() => uint32Stream(new Uint8Array(16))).toThrow('32 bytes')
})
