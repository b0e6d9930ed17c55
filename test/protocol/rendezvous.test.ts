import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { rankPlaces } from '#protocol/rendezvous.ts'

const cidAt = (index: number) => cidOf(RAW, utf8(`block ${index}`))
const sites = (count: number) => Array.from({ length: count }, (_, index) => `https://node-${index}.example:7412`)

describe('rendezvous', () => {
  test('everybody ranks the same places alike, in whatever order each lists them', () => {
    fc.assert(
      fc.property(fc.nat(), fc.shuffledSubarray(sites(12), { minLength: 2 }), (index, places) => {
        const ranked = rankPlaces(cidAt(index), places)
        expect(ranked.toSorted()).toEqual(places.toSorted())
        expect(rankPlaces(cidAt(index), places.toSorted())).toEqual(ranked)
      }),
    )
  })

  test('each of sixteen is first for about a sixteenth of the blocks', () => {
    const shares = new Map<string, number>()
    for (let index = 0; index < 2048; index++) {
      const [first] = rankPlaces(cidAt(index), sites(16)) as [string]
      shares.set(first, (shares.get(first) ?? 0) + 1)
    }
    expect(shares.size).toBe(16)
    for (const share of shares.values()) expect(Math.abs(share - 128)).toBeLessThan(5 * Math.sqrt(128))
  })

  test('when one leaves, only its own blocks move, each to who was second, and the order of the others stays', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 12 }), fc.nat(), (index, count, who) => {
        const places = sites(count)
        const gone = places[who % count] as string
        const left = places.filter((place) => place !== gone)
        const before = rankPlaces(cidAt(index), places)
        expect(rankPlaces(cidAt(index), left)).toEqual(before.filter((place) => place !== gone))
      }),
    )
  })

  test('the order is that of SHA-256 over the URL, a zero byte and the CID', () => {
    const cid = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' as Parameters<typeof rankPlaces>[0]
    expect(rankPlaces(cid, ['http://a', 'http://b', 'http://c'])).toEqual([...['http://b', 'http://c', 'http://a']])
  })
})
