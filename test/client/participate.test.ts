import { describe, expect, test } from '@jest/globals'
import { vectorBytesOf } from '#aggregation/vector.ts'
import { siteTerms } from '#client/site.ts'
import { utf8 } from '#protocol/bytes.ts'
import { walk } from '#protocol/car.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { type Block, frameOf, sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { say, sign } from '#protocol/messages.ts'
import { type LocalUpdate, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import { signAs } from '#protocol/sealed.ts'
import { RUN } from '#sim/setting.ts'
import { toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { cohortOf } from '#test/cohort.ts'

import {
  type Bench,
  bench,
  coordinator,
  invite,
  OTHER_RUN,
  parameters,
  SELECTION_MILLIS,
  seat,
  seated,
  stranger,
} from './bench.ts'

describe('a node', () => {
  test('joins, trains and reports one vector; nothing else of it leaves', async () => {
    const node = bench()
    const plan = await seat(node)
    const report = await node.heard()
    expect(report).toMatchObject({ kind: 'report', run: RUN, round: 1, seat: 0, plan, vector: node.attached[0] })
    expect(report).toMatchObject({ sizeBytes: vectorBytesOf(parameters) })
    expect(node.attached).toHaveLength(1)
    expect(node.uploads).toEqual([])
    expect(node.frames).toHaveLength(2)
  })

  test('says whose weights it reads before it reads them, so that they may come as a difference', async () => {
    const blobs = openMemoryBlobs()
    const read: { cid: Cid; said: boolean }[] = []
    const get: typeof blobs.get = (cid, ...rest) => {
      read.push({ cid, said: node.expected.includes(cid) })
      return blobs.get(cid, ...rest)
    }
    const node = bench({ blobs: { ...blobs, get } })
    await seat(node)
    await node.heard()
    expect(read).toEqual(node.expected.map((cid) => ({ cid, said: true })))
    expect(read).toHaveLength(1)
  })

  test('uploads a vector that no frame has room for, before it reports it', async () => {
    const layers = [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }] as const
    const node = bench({ architecture: { v: 1, input: [20_000], layers } })
    await seat(node)
    expect(await node.heard()).toMatchObject({ kind: 'report', vector: node.uploads[0] })
    expect(node.uploads).toHaveLength(1)
    expect(node.attached).toEqual([])
  })

  test('joins before it fetches a model of several blocks, and leaves when it comes to nothing', async () => {
    // 300,000 weights are more than a block.
    const layers = [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }] as const
    const architecture = { v: 1, input: [300_000], layers } as const
    const blobs = openMemoryBlobs()
    const line = Promise.withResolvers<void>()
    const asked: Cid[] = []
    const get: typeof blobs.get = async function* (cid, ...rest) {
      asked.push(cid)
      await line.promise
      yield* blobs.get(cid, ...rest)
    }
    const slow = bench({ architecture, blobs: { ...blobs, get } })
    const plan = await slow.plan()
    slow.say(invite(plan))
    expect(await slow.heard()).toMatchObject({ kind: 'join' })
    expect(asked).toEqual([])
    slow.say(seated(plan))
    line.resolve()
    expect(await slow.heard()).toMatchObject({ kind: 'report' })
    expect(asked).toHaveLength(1)

    const lied = bench({
      architecture,
      blobs: {
        ...blobs,
        async *get(_cid, range) {
          yield new Uint8Array(range.limitBytes)
        },
      },
    })
    await seat(lied)
    expect(await lied.heard()).toMatchObject({ kind: 'leave', reason: 'wrong-genesis' })
  })

  test('reads what travels with an invitation, and asks for nothing that it has been given', async () => {
    const [full, node] = [bench(), bench()]
    const plan = await full.plan()
    const blocks: Block[] = []
    for await (const block of walk(plan, (cid) => full.blobs.getBlock(cid, 2 ** 20))) blocks.push(block)
    node.raw(say(coordinator, invite(plan), blocks))
    expect(await node.heard()).toMatchObject({ kind: 'join', round: 1 })
  })

  test('says the same again when it is asked again, byte for byte', async () => {
    const node = bench()
    const plan = await node.plan()
    node.say(invite(plan))
    await node.heard()
    node.say(invite(plan))
    await node.heard()
    node.say(seated(plan))
    await node.heard()
    node.say(seated(plan))
    await node.heard()
    const [join, joinAgain, report, reportAgain] = node.frames as [Bytes, Bytes, Bytes, Bytes]
    expect(joinAgain).toEqual(join)
    expect(reportAgain).toEqual(report)
    expect(new Set(node.attached).size).toBe(1)
  })

  test('takes up its seat after a restart: the same seeds give the same update', async () => {
    const [before, after] = [bench(), bench()]
    await seat(before)
    const first = await before.heard()
    after.say(seated(await after.plan()))
    expect(await after.heard()).toMatchObject({ kind: 'report', vector: (first as { vector: Cid }).vector })
  })

  test('listens to nobody but its pinned coordinator, and to nothing that is not a message', async () => {
    const node = bench()
    const plan = await node.plan()
    node.say(invite(plan), stranger)
    node.raw(new Uint8Array([1, 2, 3]))
    node.raw(frameOf({ ...sign(coordinator, invite(plan)), signature: new Uint8Array(64).fill(1) }))
    node.raw(frameOf(coordinator.sign('give-me-your-data', new Uint8Array([0xa0]))))
    node.say({ kind: 'challenge', nonce: new Uint8Array(32) })
    node.say(invite(plan))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
    expect(node.frames).toHaveLength(1)
  })

  const lies: readonly [string, (node: Bench) => Promise<Cid>][] = [
    ['unreadable-plan', (node) => node.plan({}, stranger)],
    ['unreadable-plan', (node) => node.plan({ secure: { suite: 1, corrupt: 1, publish: 'full' } })],
    ['unreadable-plan', (node) => node.plan({ masking: 'secagg/1', cohort: cohortOf({ min: 3, max: 5, quorum: 3 }) })],
    ['foreign-plan', (node) => node.plan({ round: 2 })],
    ['wrong-model', async (node) => node.plan({ model: await node.otherModel() })],
    [
      'wrong-quantiser',
      (node) => node.plan({ quantiser: { bits: 8, rangeMicro: 10_000_000, weightMax: 1000, nMax: 5 } }),
    ],
    ['foreign-parent', async (node) => node.plan({ round: 1, parent: await node.plan() })],
    ['foreign-population', (node) => node.plan({ population: 'hospital' })],
    ['fault', async () => cidOf(DAG_CBOR, utf8('nowhere'))],
  ]
  test.each(lies)('declines a plan that does not hold (%s)', async (reason, plan) => {
    const node = bench()
    node.say(invite(await plan(node)))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason })
    expect(node.uploads).toEqual([])
  })

  test('of a hospital sends nothing unmasked, whatever the run calls itself', async () => {
    const node = bench({ population: 'hospital' })
    node.say(invite(await node.plan({ population: 'hospital' })))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'masking-required' })
    node.say(invite(await node.plan({ round: 1, population: 'open' })))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'foreign-population' })
  })

  test('takes no part in a cohort smaller than its operator allows', async () => {
    const node = bench({ cohortMin: 3 })
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'cohort-too-small' })
  })

  test('declines what needs more memory than its operator allows, and does not even fetch its model', async () => {
    const asked: Cid[] = []
    const known = openMemoryBlobs()
    const blobs: typeof known = {
      ...known,
      get: (cid, ...rest) => {
        asked.push(cid)
        return known.get(cid, ...rest)
      },
    }
    const node = bench({ blobs, site: siteTerms('open', 'open', { memoryBytesMax: 1000 }) })
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'task-too-large' })
    expect(asked).toEqual([])
  })

  test('hears a coordinator no faster than its operator is told', async () => {
    const node = bench()
    node.isSlow = true
    const refused = { kind: 'refused', run: RUN, round: 1, of: 'join', refusal: 'again', detail: '' } as const
    const flood = say(coordinator, refused)
    for (let turn = 0; turn < 2000; turn++) node.raw(flood)
    // As many as may wait to be told are heard, and those on the way.
    while (node.unheard > 2000 - 1024) await new Promise(setImmediate)
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate)
    expect(node.unheard).toBeGreaterThan(2000 - 1024 - 10)
    node.isSlow = false
    while (node.unheard > 0) await new Promise(setImmediate)
  })

  test('gives its seat up by name when it cannot train, and is ready for the next round', async () => {
    const refusing = {
      ...toyTrainer(0),
      fit: async () => Promise.reject(new TrainingRefused('data-contract', 'no column x')),
    }
    const node = bench({ trainer: refusing })
    await seat(node)
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason: 'data-contract' })
    node.say(invite(await node.plan({ round: 2 }), 2))
    expect(await node.heard()).toMatchObject({ kind: 'join', round: 2 })
  })

  test('does not report what is not a number', async () => {
    const update: LocalUpdate = {
      ...{ delta: new Float32Array([1, Number.NaN, 2]), examples: 5, trainMillis: 1 },
      evaluation: { rows: 1, correct: 1, lossSumNats: 0 },
    }
    const node = bench({ trainer: { ...toyTrainer(0), fit: async () => update } })
    await seat(node)
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason: 'not-finite' })
    expect(node.uploads).toEqual([])
  })

  test('stops training when the round is over, and reports nothing', async () => {
    const begun = Promise.withResolvers<void>()
    const stopped = Promise.withResolvers<void>()
    const endless: TrainerBackend = {
      ...toyTrainer(0),
      fit: (_model, _task, signal) =>
        new Promise((_, reject) => {
          begun.resolve()
          signal.addEventListener('abort', () => {
            stopped.resolve()
            reject(signal.reason)
          })
        }),
    }
    const node = bench({ trainer: endless })
    await seat(node)
    await begun.promise
    node.say({ kind: 'ended', run: RUN, round: 1, outcome: 'aborted', reason: 'too-few-reports' })
    await stopped.promise
    node.say(invite(await node.plan({ round: 2 }), 2))
    expect(await node.heard()).toMatchObject({ kind: 'join', round: 2 })
    expect(node.uploads).toEqual([])
  })

  test('signs for the plan that it read and judged, and for no other under the same seat', async () => {
    const node = bench({ cohortMin: 5 })
    const judged = await node.plan({ cohort: cohortOf({ min: 5, max: 5, quorum: 5 }) })
    node.say(invite(judged))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
    node.say(seated(await node.plan({ cohort: cohortOf({ min: 2, max: 5, quorum: 2 }) })))
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason: 'foreign-plan' })
    expect(node.frames).toHaveLength(2)
  })

  test('that missed the end of a round it only joined is free for other runs once its selection is over', async () => {
    const node = bench()
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join', run: RUN })
    const elsewhere = invite(await node.plan({ run: OTHER_RUN }), 1, OTHER_RUN)
    node.say(elsewhere)
    expect(await node.heard()).toMatchObject({ kind: 'decline', run: OTHER_RUN, reason: 'busy' })
    await node.clock.advance(SELECTION_MILLIS)
    node.say(elsewhere)
    expect(await node.heard()).toMatchObject({ kind: 'join', run: OTHER_RUN })
  })

  test('keeps to the round that it trains for: a seat elsewhere is given up at once', async () => {
    const begun = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const toy = toyTrainer(0)
    const slow: TrainerBackend = {
      ...toy,
      async fit(...args) {
        begun.resolve()
        await finish.promise
        return toy.fit(...args)
      },
    }
    const node = bench({ trainer: slow })
    await seat(node)
    await begun.promise
    node.say(seated(await node.plan({ run: OTHER_RUN }), 0, OTHER_RUN))
    expect(await node.heard()).toMatchObject({ kind: 'leave', run: OTHER_RUN, reason: 'busy' })
    finish.resolve()
    expect(await node.heard()).toMatchObject({ kind: 'report', run: RUN })
  })

  test('outlives a link that breaks while it speaks', async () => {
    const node = bench()
    node.breaks = 1
    const failed = node.next('failed')
    node.say(invite(await node.plan()))
    await failed
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
  })

  test('is paid only by a receipt that its coordinator signed for it, once', async () => {
    const node = bench()
    await seat(node)
    const report = (await node.heard()) as { vector: Cid }
    const receipt = (to: NodeId, amount: bigint) => ({
      ...{ kind: 'receipt' as const, v: 1 as const, run: RUN, round: 1, seat: 0, node: to },
      ...{ update: report.vector, manifest: report.vector, amount },
    })
    const failed = node.next('failed')
    node.say(receipt(node.signer.id, 5n), stranger)
    node.say(receipt(stranger.id, 6n))
    await failed
    const paid = node.next('paid')
    node.say(receipt(node.signer.id, 7n))
    await paid
    // Told again, and another one: the first counts once.
    const again = node.next('paid')
    node.say(receipt(node.signer.id, 7n))
    node.say(receipt(node.signer.id, 8n))
    await again
    const { kind: _, ...body } = receipt(node.signer.id, 7n)
    expect(node.progress.filter(({ kind }) => kind === 'failed')).toHaveLength(1)
    expect(node.progress.filter(({ kind }) => kind === 'paid')).toEqual([
      { kind: 'paid', run: RUN, round: 1, amount: 7n, receipt: sealOf(signAs(coordinator, 'receipt', body)).seal.cid },
      expect.objectContaining({ amount: 8n }),
    ])
  })
})
