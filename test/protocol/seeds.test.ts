import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hkdfSha256, sha256 } from '#crypto'
import { concat, toHex, utf8 } from '#protocol/bytes.ts'
import { cidOf, digestOf, RAW } from '#protocol/cid.ts'
import { nodeIdOf } from '#protocol/ids.ts'
import {
  accessKey,
  cohortSeed,
  demoSecret,
  demoSplitSeed,
  demoTaskSeed,
  drawRank,
  genesisSeed,
  holdoutSeed,
  quantiseSeed,
  shareSeed,
  shuffleSeed,
  ticketKey,
  webhookKey,
} from '#protocol/seeds.ts'
import { bytesOf } from './arbitraries.ts'

const secret = new Uint8Array(32).fill(1)
const task = cidOf(RAW, utf8('task'))
const model = cidOf(RAW, utf8('model'))
const model32 = digestOf(model)
const u64 = (value: number) => Uint8Array.from([0, 0, 0, 0, 0, 0, value >> 8, value & 255])
const derived = (label: string, ...context: Uint8Array[]) =>
  toHex(hkdfSha256(secret, new Uint8Array(0), concat(utf8(`consilium/1 ${label}\0`), ...context), 32))

describe('every seed', () => {
  /** Written out again from docs/protocol.md, "Seeds". */
  test('is the one that the specification says', () => {
    expect(toHex(genesisSeed(secret, 3))).toBe(derived('genesis', u64(3)))
    expect(toHex(shareSeed(secret, nodeIdOf(model32)))).toBe(derived('share', model32))
    expect(toHex(holdoutSeed(secret, task))).toBe(derived('holdout', digestOf(task)))
    expect(toHex(shuffleSeed(secret, task, 300))).toBe(derived('shuffle', digestOf(task), u64(300)))
    expect(toHex(quantiseSeed(secret, task, 300))).toBe(derived('quantise', digestOf(task), u64(300)))
    expect(toHex(ticketKey(secret))).toBe(derived('ticket'))
    expect(toHex(accessKey(secret))).toBe(derived('access'))
    expect(toHex(webhookKey(secret, 'we_1', 0))).toBe(derived('webhook', utf8('we_1')))
    expect(toHex(webhookKey(secret, 'we_1', 2))).toBe(derived('webhook', utf8('we_1 2')))
    expect(toHex(demoSecret(secret, 4))).toBe(derived('demo node', u64(4)))
    expect(toHex(demoTaskSeed(secret))).toBe(derived('demo task'))
    expect(toHex(demoSplitSeed(secret))).toBe(derived('demo split'))
    expect(toHex(cohortSeed(secret, model, 2))).toBe(
      toHex(sha256(concat(utf8('consilium/1 cohort\0'), digestOf(model), secret, u64(2)))),
    )
    const node = nodeIdOf(new Uint8Array(32).fill(9))
    const lots = [0, 1, 2, 3].map((ticket) =>
      toHex(sha256(concat(secret, new Uint8Array(32).fill(9), Uint8Array.of(ticket)))),
    )
    for (const tickets of [1, 2, 3, 4]) expect(drawRank(secret, node, tickets)).toBe(lots.slice(0, tickets).sort()[0])
  })

  test('is another one for another purpose, round, place or secret', () => {
    const other = new Uint8Array(32).fill(2)
    const all = [
      ...[0, 1, 256].map((index) => genesisSeed(secret, index)),
      ...[0, 1, 256].map((site) => demoSecret(secret, site)),
      ...[1, 2].flatMap((round) => [shuffleSeed, quantiseSeed].map((seed) => seed(secret, task, round))),
      ...[1, 2].map((round) => cohortSeed(secret, model, round)),
      holdoutSeed(secret, task),
      holdoutSeed(secret, model),
      holdoutSeed(other, task),
      quantiseSeed(other, task, 1),
      quantiseSeed(secret, model, 1),
      cohortSeed(secret, task, 1),
      cohortSeed(other, model, 1),
      ticketKey(secret),
      accessKey(secret),
      demoTaskSeed(secret),
      demoSplitSeed(secret),
    ].map(toHex)
    expect(new Set(all).size).toBe(all.length)
  })

  test('is the same whenever it is asked for', () => {
    fc.assert(
      fc.property(bytesOf(32), fc.nat(4096), (seed, round) => {
        expect(toHex(quantiseSeed(seed, task, round))).toBe(toHex(quantiseSeed(Uint8Array.from(seed), task, round)))
        expect(quantiseSeed(seed, task, round)).toHaveLength(32)
      }),
      { numRuns: 30 },
    )
  })
})
