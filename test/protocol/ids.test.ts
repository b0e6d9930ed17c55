import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { toHex } from '#protocol/bytes.ts'
import { cidOf, codecOf, DAG_CBOR, DAG_PB, digestOf, parseCid, RAW } from '#protocol/cid.ts'
import { nodeIdOf, parseNodeId, parseRunId, publicKeyOf } from '#protocol/ids.ts'
import { bytesOf, cids, nodeIds, runIds } from './arbitraries.ts'

describe('a node id', () => {
  test('is the did:key text of the key', () => {
    // The example of the did:key specification for Ed25519.
    const id = 'z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'
    expect(parseNodeId(id)).toEqual({ ok: true, value: id })
    expect(toHex(publicKeyOf(id as never))).toBe('3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29')
  })

  test('names one key and parses back', () => {
    fc.assert(
      fc.property(bytesOf(32), (key) => {
        const id = nodeIdOf(key)
        expect(toHex(publicKeyOf(id))).toBe(toHex(key))
        expect(parseNodeId(id)).toEqual({ ok: true, value: id })
      }),
    )
  })

  test('sorts as text the way its bytes sort', () => {
    fc.assert(
      fc.property(bytesOf(32), bytesOf(32), fc.nat(32), (a, b, same) => {
        b.set(a.subarray(0, same))
        const [x, y] = [nodeIdOf(a), nodeIdOf(b)]
        expect(Math.sign(Buffer.compare(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0)
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['nothing', ''],
    ['another multibase', `m${'A'.repeat(47)}`],
    ['a letter that base58 lacks', 'z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooW0'],
    ['one letter less', 'z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooW'],
    ['one letter more', 'z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWpp'],
    ['a line end', 'z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp\n'],
    ['a whole DID', 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'],
    ['an X25519 key', base58btc.encode(Uint8Array.from([0xec, 0x01, ...new Uint8Array(32)]))],
  ])('is not %s', (_name, text) => {
    expect(parseNodeId(text)).toMatchObject({ ok: false, refusal: 'bad-node-id' })
  })

  test('is not any other text that looks like one', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/), (text) => {
        const read = parseNodeId(text)
        if (read.ok) expect(nodeIdOf(publicKeyOf(read.value))).toBe(text)
        else expect(read.refusal).toBe('bad-node-id')
      }),
    )
  })
})

describe('a run id', () => {
  test('is run_ and a ULID', () => {
    fc.assert(fc.property(runIds, (id) => expect(parseRunId(id)).toEqual({ ok: true, value: id })))
  })

  test.each([
    '',
    'run_',
    'run_01ARZ3NDEKTSV4RRFFQ69G5FA',
    'run_81ARZ3NDEKTSV4RRFFQ69G5FAV',
    'run_01ARZ3NDEKTSV4RRFFQ69G5FAU',
    'run_01arz3ndektsv4rrffq69g5fav',
    '../01ARZ3NDEKTSV4RRFFQ69G5FAV',
  ])('is not %j', (text) => {
    expect(parseRunId(text)).toMatchObject({ ok: false, refusal: 'bad-run-id' })
  })
})

describe('a CID', () => {
  test('of nothing and of a known block are the ones that IPFS prints', () => {
    expect(cidOf(RAW, new Uint8Array(0))).toBe('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
    expect(cidOf(DAG_CBOR, Uint8Array.of(0xa0))).toBe('bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua')
  })

  test('names a codec and a digest, and parses back', () => {
    fc.assert(
      fc.property(fc.constantFrom(RAW, DAG_PB, DAG_CBOR), fc.uint8Array(), (codec, block) => {
        const cid = cidOf(codec, block)
        expect(codecOf(cid)).toBe(codec)
        expect(digestOf(cid)).toHaveLength(32)
        expect(parseCid(cid)).toEqual({ ok: true, value: cid })
      }),
    )
  })

  test.each([
    ['nothing', ''],
    ['CIDv0', 'QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n'],
    ['base58', 'zdj7Wd8AMwqnhJGQCbFxBVodGSBG84TM7Hs1rcJuQMwTyfEDS'],
    ['upper case', 'BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU'],
    ['bits after the end', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykv'],
    ['dag-json', 'baguqeerasords4njcts6vs7qvdjfcvgnume4hqohf65zsfguprqphs3icwea'],
    ['SHA-512', `bafkrgq${'a'.repeat(52)}`],
    ['an identity CID', 'bafkqaaa'],
    ['a path', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku/..'],
  ])('is not %s', (_name, text) => {
    expect(parseCid(text)).toMatchObject({ ok: false, refusal: 'bad-cid' })
  })

  test('is never another text for the same block', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^b[a-z2-7]{58}$/), (text) => {
        const read = parseCid(text)
        if (read.ok) expect(read.value).toBe(text)
      }),
    )
    fc.assert(
      fc.property(cids, fc.nat(57), fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567'), (cid, at, letter) => {
        const read = parseCid(cid.slice(0, at + 1) + letter + cid.slice(at + 2))
        if (read.ok) expect(parseCid(read.value)).toEqual(read)
      }),
    )
  })
})

test('ids of nodes are of one length, so that a list of them has a size', () => {
  fc.assert(fc.property(nodeIds, (id) => expect(id).toHaveLength(48)))
})
