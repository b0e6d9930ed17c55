import * as dagPb from '@ipld/dag-pb'
import { describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { type PinnerDoors, pinnedAmong, pinning } from '#coordinator/pinner.ts'
import { blockOf } from '#coordinator/record.ts'
import { once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import { cidField } from '#protocol/codec.ts'
import type { Cid } from '#protocol/ids.ts'
import type { SharedLog } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { contentOf } from '#test/content.ts'
import { pinDoors } from './pin-doors.ts'

const MINUTE = 60_000
const manifestOf = (...links: readonly Cid[]) => blockOf(z.array(cidField), [...links])

/** One process that looks after pins, over a log that others may share. */
function process(more: Partial<PinnerDoors> = {}, log: SharedLog = openMemoryLog()) {
  const [clock, blobs] = [virtualClock(1_000_000), openMemoryBlobs()]
  const { pins } = pinDoors({ log, clock })
  const duty = pinning({ pins, blobs, clock, ...more })
  const turn = () => duty.perform(new AbortController().signal)
  const add = async (cid: string) => {
    const added = await pins.add({ cid, name: null, origins: ['/ip4/127.0.0.1/tcp/1'], meta: {} })
    if (!added.ok) throw new Error(added.refusal)
    return added.value.id
  }
  const fate = async (id: string) => {
    const pin = await pins.get(id)
    return pin && [pin.status, pin.reason]
  }
  return { clock, blobs, pins, log, turn, add, fate }
}

describe('a pin', () => {
  test('is pinned once all that its manifest leads to is here, and not while one part of one file is missing', async () => {
    const { blobs, add, turn, fate } = process()
    const bytes = contentOf('a file of three leaves', 3 * 2 ** 20)
    const file = await openMemoryBlobs().put(once(bytes), bytes.length)
    const inner = manifestOf(file)
    const outer = manifestOf(inner.cid, inner.cid)
    const id = await add(outer.cid)
    for (const bring of [
      async () => undefined,
      () => blobs.putBlocks([outer]),
      () => blobs.putBlocks([inner]),
      () => blobs.put(once(bytes.subarray(0, 2 ** 20)), 2 ** 20),
    ]) {
      await bring()
      await turn()
      expect(await fate(id)).toEqual(['queued', null])
    }
    await blobs.put(once(bytes), bytes.length)
    await turn()
    expect(await fate(id)).toEqual(['pinned', null])
  })

  test('fails when nobody brings its blocks, and is not looked at again', async () => {
    const { clock, blobs, add, turn, fate } = process()
    const bytes = utf8('late')
    const id = await add(cidOf(RAW, bytes))
    await clock.advance(9 * MINUTE)
    await turn()
    expect(await fate(id)).toEqual(['queued', null])
    await clock.advance(2 * MINUTE)
    await turn()
    expect(await fate(id)).toEqual(['failed', 'its blocks did not come within 10 minutes'])
    await blobs.put(once(bytes), 10)
    await turn()
    expect((await fate(id))?.[0]).toBe('failed')
  })

  test('is fetched from its origins where there is one who fetches, again while that fails', async () => {
    const asked: unknown[] = []
    const bytes = utf8('fetched')
    const at = process({
      async fetchDag(cid, origins) {
        asked.push([cid, origins])
        if (asked.length === 1) throw new Error('nobody answers')
        await at.blobs.put(once(bytes), 10)
      },
    })
    const cid = cidOf(RAW, bytes)
    const id = await at.add(cid)
    await at.turn()
    expect(await at.fate(id)).toEqual(['pinning', null])
    await at.turn()
    await at.turn()
    expect(await at.fate(id)).toEqual(['pinned', null])
    expect(asked).toEqual([1, 2].map(() => [cid, ['/ip4/127.0.0.1/tcp/1']]))
  })

  test.each([
    [
      'a hash that is not kept here',
      'bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs',
    ],
    ['a folder', '' as string],
    ['what is no DAG-CBOR under its name', ''],
  ])('of %s fails with the reason, and holds up no other', async (what, given) => {
    const { blobs, add, turn, fate } = process()
    const folder = dagPb.encode({ Data: new Uint8Array([8, 1]), Links: [] })
    const broken = utf8('broken')
    const [folderCid, brokenCid] = [cidOf(DAG_PB, folder), cidOf(DAG_CBOR, broken)]
    await blobs.putBlocks([
      { cid: folderCid, bytes: folder },
      { cid: brokenCid, bytes: broken },
    ])
    const id = await add(given || (what === 'a folder' ? folderCid : brokenCid))
    const other = await add(await blobs.put(once(utf8('fine')), 10))
    await turn()
    expect(await fate(id)).toEqual(['failed', expect.any(String)])
    expect(await fate(other)).toEqual(['pinned', null])
  })

  test('keeps what is under it, and only that', async () => {
    const { blobs, pins, add, turn } = process()
    const [held, free] = [await blobs.put(once(utf8('held')), 10), await blobs.put(once(utf8('free')), 10)]
    const manifest = manifestOf(held)
    await blobs.putBlocks([manifest])
    const id = await add(manifest.cid)
    expect(await pinnedAmong([held, free], { pins, blobs })).toEqual(new Set())
    await turn()
    expect(await pinnedAmong([held, free], { pins, blobs })).toEqual(new Set([held]))
    await pins.remove(id)
    expect(await pinnedAmong([held, free], { pins, blobs })).toEqual(new Set())
  })

  test('that one process has taken is known to every other one, and no two have one time', async () => {
    const log = openMemoryLog()
    const [one, two] = [process({}, log), process({}, log)]
    const add = (at: typeof one, name: string) =>
      at.pins.add({ cid: cidOf(RAW, utf8(name)), name, origins: [], meta: {} })
    await Promise.all(Array.from({ length: 20 }, (_, index) => add(index % 2 ? one : two, `${index}`)))
    const [here, there] = await Promise.all([one.pins.select(() => true), two.pins.select(() => true)])
    expect(here).toEqual(there)
    expect(new Set(here.map(({ created }) => created)).size).toBe(20)
    expect(here).toEqual(here.toSorted((a, b) => b.created - a.created))
  })
})
