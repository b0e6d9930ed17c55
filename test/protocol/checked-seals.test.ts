import { describe, expect, test } from '@jest/globals'
import { utf8 } from '#protocol/bytes.ts'
import { CheckedSeals } from '#protocol/checked-seals.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { sealOf, signerOf, unseal } from '#protocol/envelope.ts'
import type { Bytes } from '#protocol/ids.ts'

const signer = signerOf(new Uint8Array(32).fill(7))
const honest = signer.sign('join', utf8('a body'))
const forged = { ...honest, signature: honest.signature.with(40, (honest.signature[40] as number) ^ 1) }
const { seal, body } = sealOf(honest)
const from = (bytes: Bytes) => async () => bytes

describe('seals that are checked once', () => {
  test('a good one is remembered, and then its signature is looked at no more', async () => {
    const checked = new CheckedSeals()
    expect((await unseal(seal.bytes, from(body.bytes), checked)).ok).toBe(true)
    expect(checked.has(seal.cid)).toBe(true)
    const lie = sealOf(forged)
    checked.keep(lie.seal.cid)
    expect((await unseal(lie.seal.bytes, from(body.bytes), checked)).ok).toBe(true)
  })

  test('a bad one is refused however often it comes, and vouches for nothing', async () => {
    const checked = new CheckedSeals()
    const lie = sealOf(forged)
    for (let turn = 0; turn < 2; turn++)
      expect(await unseal(lie.seal.bytes, from(body.bytes), checked)).toMatchObject({ refusal: 'bad-signature' })
    expect(checked.has(lie.seal.cid)).toBe(false)
  })

  test('the body is hashed again each time', async () => {
    const checked = new CheckedSeals()
    await unseal(seal.bytes, from(body.bytes), checked)
    expect(await unseal(seal.bytes, from(utf8('another')), checked)).toMatchObject({ refusal: 'malformed' })
  })

  test('so many are kept, the newest', () => {
    const checked = new CheckedSeals()
    const cids = Array.from({ length: 3000 }, (_, index) => cidOf(RAW, utf8(`${index}`)))
    for (const cid of cids) checked.keep(cid)
    const kept = cids.filter((cid) => checked.has(cid))
    expect(kept.length).toBeLessThan(2000)
    expect(kept.at(-1)).toBe(cids.at(-1))
    expect(kept[0]).toBe(cids[cids.length - kept.length])
  })
})
