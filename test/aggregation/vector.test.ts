import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeLanes, encodeLanes, laneReader, lanesOf, payloadLanes, vectorBytesOf } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { cut, cuts } from './given.ts'

describe('the layout', () => {
  test.each([
    [0, 4, 16],
    [1, 8, 20],
    [4, 8, 20],
    [5, 12, 24],
    [5_994, 6_000, 6_012],
  ])('%i parameters have %i payload lanes and %i in all', (parameters, payload, lanes) => {
    expect([payloadLanes(parameters), lanesOf(parameters)]).toEqual([payload, lanes])
  })

  test('a vector is whole blocks of 16 bytes, as masks and SIMD need', () => {
    fc.assert(fc.property(fc.nat(2 ** 28), (parameters) => vectorBytesOf(parameters) % 16 === 0))
  })

  test('the largest model has a vector that lanes can count', () => {
    expect(lanesOf(2 ** 28)).toBeLessThan(2 ** 31)
  })
})

describe('lanes as bytes', () => {
  test('a lane is four bytes, the smallest first', () => {
    expect(toHex(encodeLanes(Uint32Array.of(0x01020304, 0xffffffff)))).toBe('04030201ffffffff')
  })

  test('lanes come back from their bytes, at any address', () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 40 }), fc.nat(7), (lanes, offset) => {
        const bytes = new Uint8Array(offset + lanes.length * 4)
        bytes.set(encodeLanes(lanes), offset)
        expect([...decodeLanes(bytes.subarray(offset))]).toEqual([...lanes])
      }),
    )
  })

  test('a stream cut anywhere holds the same lanes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint32Array({ maxLength: 200 }), cuts, async (lanes, sizes) => {
        const read = laneReader()
        const found: number[] = []
        for await (const piece of cut(encodeLanes(lanes), sizes)) found.push(...read(piece))
        expect(found).toEqual([...lanes])
      }),
    )
  })

  test('bytes that are not whole lanes are a mistake of ours', () => {
    expect(() => decodeLanes(new Uint8Array(5))).toThrow('whole lanes')
  })
})
