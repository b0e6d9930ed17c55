import type { ServerResponse } from 'node:http'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { collect, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { differenceOf, NO_GRID } from '#protocol/difference.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { Parents } from '#storage/blobs/parents.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { loopback } from '#test/loopback.ts'

const MIB = 2 ** 20
const RAW_TYPE = 'application/vnd.ipld.raw'
const DIFFERENCE_TYPE = 'application/vnd.consilium.difference'
const parent = contentOf('parent', 2 * MIB + 400)
const next = parent.map((byte, index) => (index % 97 === 0 ? byte ^ 1 : byte))
const ARCHITECTURE = cidOf(RAW, utf8('architecture'))

type Pair = { readonly from: Bytes; readonly to: Bytes }
type Answer = (response: ServerResponse, pair: Pair) => void

const difference: Answer = (response, { from, to }) => {
  // Of leaves that did not move, all of one length have the same.
  const name = from === to ? String(from.length) : `${cidOf(RAW, from)} ${cidOf(RAW, to)}`
  const told = made.get(name) ?? deflateRawSync(differenceOf({ parent: from, next: to, grid: NO_GRID }))
  made.set(name, told)
  say(response, DIFFERENCE_TYPE, told)
}
const made = new Map<string, Bytes>()
const bomb = deflateRawSync(new Uint8Array(2 ** 26), { level: 1 })
const say = (response: ServerResponse, type: string, bytes: Bytes) =>
  response.writeHead(200, { 'Content-Type': type }).end(bytes)

/** A gateway that answers in its own way where the difference is asked for, and a reader who has the parent. */
async function reading(answer: Answer) {
  const blobs = openMemoryBlobs()
  const cids = { parent: await blobs.put(once(parent), parent.length), next: await blobs.put(once(next), next.length) }
  const asked: { readonly cid: Cid; readonly from: Cid | undefined }[] = []
  const server = await loopback(async (request, response) => {
    const [, cid, from] = /^\/ipfs\/(\w+)\?format=raw(?:&from=(\w+))?$/.exec(request.url ?? '') ?? []
    asked.push({ cid: cid as Cid, from: from as Cid | undefined })
    const to = await blobs.getBlock(cid as Cid, MIB)
    if (from) answer(response, { from: await blobs.getBlock(from as Cid, MIB), to })
    else say(response, RAW_TYPE, to)
  })
  const kept = new Map<Cid, Bytes>()
  const parents = new Parents(async (cid) => kept.get(cid))
  const keeping = {
    get: async (cid: Cid) => kept.get(cid),
    keep: async ({ cid, bytes }: Block) => void kept.set(cid, bytes),
  }
  const remote = openRemoteBlobs({ url: server.url, keeping, parents, firstPauseMillis: 1 })
  const read = async (cid: Cid, whole: Bytes) => {
    parents.expect(cid, ARCHITECTURE)
    const bytes = await collect(remote.get(cid, { limitBytes: whole.length }), whole.length)
    expect(sameBytes(bytes, whole)).toBe(true)
  }
  await read(cids.parent, parent)
  expect(asked.every(({ from }) => from === undefined)).toBe(true)
  asked.length = 0
  return { asked, kept, cids, read, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

describe('a reader who has the parent', () => {
  test('asks for each leaf as the difference from the one in its place, and is content with the leaf', async () => {
    const whole: Answer = (response, { to }) => say(response, RAW_TYPE, to)
    for (const answer of [difference, whole]) {
      await using node = await reading(answer)
      await node.read(node.cids.next, next)
      expect(node.asked.map(({ from }) => from !== undefined)).toEqual([false, true, true, true])
      // What is kept is not asked for again.
      await node.read(node.cids.next, next)
      expect(node.asked).toHaveLength(4)
    }
  })

  test.each<[string, Answer]>([
    ['of another leaf', (response, { from }) => difference(response, { from, to: from })],
    ['that is none', (response) => say(response, DIFFERENCE_TYPE, contentOf('noise', 1000))],
    ['that is empty', (response) => say(response, DIFFERENCE_TYPE, new Uint8Array(0))],
    [
      'without an end',
      (response) => {
        response.writeHead(200, { 'Content-Type': DIFFERENCE_TYPE })
        const more = () => {
          while (!response.destroyed && response.write(contentOf('more', 65_536)));
        }
        response.on('drain', more)
        more()
      },
    ],
    ['that would fill the memory', (response) => say(response, DIFFERENCE_TYPE, bomb)],
    ['that is said to be a leaf', (response) => say(response, RAW_TYPE, contentOf('wrong', 1000))],
  ])(
    'does without a difference %s: one question is lost, and no other is asked for of that file',
    async (_, answer) => {
      await using node = await reading(answer)
      await node.read(node.cids.next, next)
      const froms = node.asked.filter(({ from }) => from !== undefined)
      // As many as were in flight.
      expect(froms.length).toBeGreaterThan(0)
      expect(froms.length).toBeLessThanOrEqual(3)
      expect(node.asked.filter(({ from }) => from === undefined)).toHaveLength(4)
    },
  )

  test('asks for the leaves themselves where the parent is not here any more', async () => {
    await using node = await reading(difference)
    node.kept.clear()
    await node.read(node.cids.next, next)
    expect(node.asked.map(({ from }) => from)).toEqual([undefined, undefined, undefined, undefined])
  })
})
