import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sign as signRaw } from '#crypto'
import { concat, fromHex, toHex, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, digestOf, RAW } from '#protocol/cid.ts'
import { ATTACHED_EXTRA_BYTES, frameOf, open, sealOf, signerOf, unseal } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { ATTACHED_BLOCKS_MAX, ATTACHED_BYTES_MAX, FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { flip } from '#test/conformance/crypto.ts'

const signer = signerOf(new Uint8Array(32).fill(7))
const other = signerOf(new Uint8Array(32).fill(8))
const types = fc.stringMatching(/^[a-z][a-z-]{0,31}$/)
const bodies = fc.uint8Array({ maxLength: 200 })

function only(cid: Cid, bytes: Bytes): (asked: Cid) => Promise<Bytes> {
  return async (asked) => {
    if (asked !== cid) throw new Error(`asked for ${asked}`)
    return bytes
  }
}

describe('a frame', () => {
  test('opens to who said what, byte for byte', () => {
    fc.assert(
      fc.property(types, bodies, (type, body) => {
        const opened = open(frameOf(signer.sign(type, body)), FRAME_BYTES_MAX)
        if (!opened.ok) throw new Error(opened.refusal)
        expect(opened.value.from).toBe(signer.id)
        expect(opened.value.type).toBe(type)
        expect(toHex(opened.value.body)).toBe(toHex(body))
      }),
      { numRuns: 50 },
    )
  })

  test('is refused with any one bit changed', () => {
    const bytes = utf8('a block')
    const frame = frameOf(signer.sign('join', fromHex('a16161182a')), [{ cid: cidOf(RAW, bytes), bytes }])
    for (let bit = 0; bit < frame.length * 8; bit += 1) expect(open(flip(frame, bit), FRAME_BYTES_MAX).ok).toBe(false)
  })

  test('brings blocks along in their order, each as it is named, and none that has no room', () => {
    const block = (size: number) => {
      const bytes = new Uint8Array(size).fill(size)
      return { cid: cidOf(RAW, bytes), bytes }
    }
    const blocks = [block(30_000), block(40_000), block(20_000), block(0)]
    const opened = open(frameOf(signer.sign('join', new Uint8Array(3000)), blocks), FRAME_BYTES_MAX)
    if (!opened.ok) throw new Error(opened.refusal)
    expect(opened.value.attached.map(({ cid }) => cid)).toEqual([0, 2, 3].map((index) => blocks[index]?.cid))
    expect(toHex(opened.value.attached[1]?.bytes as Bytes)).toBe(toHex(blocks[2]?.bytes as Bytes))
    const many = frameOf(
      signer.sign('join', new Uint8Array(3000)),
      Array.from({ length: 2 * ATTACHED_BLOCKS_MAX }, (_, size) => block(size)),
    )
    expect(open(many, FRAME_BYTES_MAX)).toMatchObject({
      ok: true,
      value: { attached: { length: ATTACHED_BLOCKS_MAX } },
    })
  })

  test('with the largest body and as many blocks as there is room for is within the limit', () => {
    // Of 256 bytes: the head that says so is one byte longer than that of a shorter block.
    const small = Array.from({ length: ATTACHED_BLOCKS_MAX - 1 }, (_, index) => new Uint8Array(256).fill(index))
    const named = small.map((bytes) => ({ cid: cidOf(DAG_CBOR, bytes), bytes }))
    const left = ATTACHED_BYTES_MAX - named.length * (256 + ATTACHED_EXTRA_BYTES) - ATTACHED_EXTRA_BYTES
    const last = { cid: cidOf(RAW, new Uint8Array(left)), bytes: new Uint8Array(left) }
    const frame = frameOf(signer.sign('a'.repeat(32), new Uint8Array(3800)), [...named, last])
    expect(open(frame, FRAME_BYTES_MAX)).toMatchObject({
      ok: true,
      value: { attached: { length: ATTACHED_BLOCKS_MAX } },
    })
  })

  test('whose block is another than it says is refused', () => {
    const block = { cid: cidOf(RAW, utf8('promised')), bytes: utf8('given') }
    const frame = frameOf(signer.sign('join', Uint8Array.of(0xa0)), [block])
    expect(open(frame, FRAME_BYTES_MAX)).toMatchObject({ ok: false, refusal: 'wrong-block' })
  })

  test('cut short or with something after it is malformed', () => {
    const frame = frameOf(signer.sign('join', Uint8Array.of(0xa0)))
    for (let end = 0; end < frame.length; end += 1)
      expect(open(frame.subarray(0, end), FRAME_BYTES_MAX)).toMatchObject({ ok: false, refusal: 'malformed' })
    expect(open(concat(frame, Uint8Array.of(0)), FRAME_BYTES_MAX)).toMatchObject({ ok: false, refusal: 'malformed' })
  })

  test('above the limit is refused before anything is read, and at the limit it opens', () => {
    const frame = frameOf(signer.sign('join', new Uint8Array(100)))
    expect(open(frame, frame.length).ok).toBe(true)
    expect(open(frame, frame.length - 1)).toMatchObject({ ok: false, refusal: 'too-large' })
  })

  test('of any bytes never makes it throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => expect(open(bytes, 300).ok).toBe(false)))
  })
})

describe('a signature means one thing', () => {
  const body = Uint8Array.of(0xa0)
  const signed = signer.sign('join', body)

  test.each([
    ['another type', { ...signed, type: 'leave' }],
    ['another body', { ...signed, body: Uint8Array.of(0x80) }],
    ['another sender', { ...signed, from: other.id }],
    ['a type that swallows the next field', { ...signed, type: 'joi' }],
  ])('not under %s', (_name, forged) => {
    expect(open(frameOf(forged), FRAME_BYTES_MAX)).toMatchObject({ ok: false, refusal: 'bad-signature' })
  })

  test('not from another domain, nor from the bare body', () => {
    const secret = new Uint8Array(32).fill(7)
    const tail = concat(utf8('join'), Uint8Array.of(0), fromHex(digestHex(body)))
    for (const bytes of [body, tail, concat(utf8('secagg/1 sig\0'), tail)]) {
      const forged = { ...signed, signature: signRaw(secret, bytes) }
      expect(open(frameOf(forged), FRAME_BYTES_MAX)).toMatchObject({ ok: false, refusal: 'bad-signature' })
    }
    const honest = { ...signed, signature: signRaw(secret, concat(utf8('consilium/1 sig\0'), tail)) }
    expect(open(frameOf(honest), FRAME_BYTES_MAX).ok).toBe(true)
  })

  test('and a type of secure aggregation means it in its own domain alone', () => {
    const secret = new Uint8Array(32).fill(7)
    const tail = concat(utf8('Confirm'), Uint8Array.of(0), fromHex(digestHex(body)))
    const own = { ...signed, type: 'Confirm' }
    const inOurs = { ...own, signature: signRaw(secret, concat(utf8('consilium/1 sig\0'), tail)) }
    expect(open(frameOf(inOurs), FRAME_BYTES_MAX)).toMatchObject({ ok: false, refusal: 'bad-signature' })
    const inIts = { ...own, signature: signRaw(secret, concat(utf8('secagg/1 sig\0'), tail)) }
    expect(open(frameOf(inIts), FRAME_BYTES_MAX).ok).toBe(true)
    expect(toHex(signer.sign('Confirm', body).signature)).toBe(toHex(inIts.signature))
  })

  test('and a type that is no plain word has no frame at all', () => {
    for (const type of ['', 'Join', 'Confirms', 'confirM', 'jo in', '-join', 'join\0', 'j'.repeat(33)])
      expect(() => frameOf({ ...signed, type })).toThrow()
  })
})

describe('a seal', () => {
  test('keeps the signature of the frame, and opens to the same', async () => {
    await fc.assert(
      fc.asyncProperty(types, bodies, async (type, body) => {
        const signed = signer.sign(type, body)
        const { seal, body: kept } = sealOf(signed)
        expect(seal.cid).toBe(cidOf(DAG_CBOR, seal.bytes))
        const opened = await unseal(seal.bytes, only(kept.cid, kept.bytes))
        if (!opened.ok) throw new Error(opened.refusal)
        expect(toHex(opened.value.signature)).toBe(toHex(signed.signature))
        expect(toHex(frameOf(opened.value))).toBe(toHex(frameOf(signed)))
      }),
      { numRuns: 30 },
    )
  })

  test('is refused with any one bit changed', async () => {
    const { seal, body } = sealOf(signer.sign('plan', Uint8Array.of(0xa0)))
    for (let bit = 0; bit < seal.bytes.length * 8; bit += 1) {
      const opened = await unseal(flip(seal.bytes, bit), async () => body.bytes)
      expect(opened.ok).toBe(false)
    }
  })

  test('over another body is refused, though the block answered', async () => {
    const { seal } = sealOf(signer.sign('plan', Uint8Array.of(0xa0)))
    expect(await unseal(seal.bytes, async () => Uint8Array.of(0x80))).toMatchObject({ ok: false, refusal: 'malformed' })
  })

  test('whose link has another codec is refused: one object has one name', async () => {
    const body = Uint8Array.of(0xa0)
    const { seal } = sealOf(signer.sign('plan', body))
    const raw = cidOf(RAW, body)
    const forged = fromHex(toHex(seal.bytes).replace('00017112', '00015512'))
    expect(await unseal(forged, only(raw, body))).toMatchObject({ ok: false, refusal: 'malformed' })
  })

  test('signed twice has one CID: Ed25519 is deterministic', () => {
    const again = signerOf(new Uint8Array(32).fill(7))
    expect(sealOf(again.sign('plan', Uint8Array.of(0xa0))).seal.cid).toBe(
      sealOf(signer.sign('plan', Uint8Array.of(0xa0))).seal.cid,
    )
  })
})

function digestHex(body: Bytes): string {
  return toHex(digestOf(cidOf(DAG_CBOR, body)))
}
