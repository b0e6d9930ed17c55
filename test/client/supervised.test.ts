import { describe, expect, test } from '@jest/globals'
import type { Signals } from '#client/conduct.ts'
import { Journal } from '#client/journal.ts'
import type { TrainerBackend } from '#protocol/ports.ts'
import { RUN } from '#sim/setting.ts'
import { toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { bench, invite, seat, seated } from './bench.ts'
import { Host } from './host.ts'
import { agreed, confirmed, dealt, kindsLeft, quiet, rest, submitted, told } from './stages.ts'

/** Trains when it is let, and says when it was stopped. */
function held(site = 0) {
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const stopped: string[] = []
  const toy = toyTrainer(site)
  const trainer: TrainerBackend = {
    ...toy,
    async fit(model, task, signal) {
      begun.resolve()
      signal.addEventListener('abort', () => {
        stopped.push((signal.reason as Error).message)
        gate.reject(signal.reason)
      })
      await gate.promise
      return toy.fit(model, task, signal)
    },
  }
  return { trainer, begun: begun.promise, go: gate.resolve, stopped }
}

const HOLDS: readonly (readonly [Partial<Signals>, string])[] = [
  [{ paused: true }, 'paused'],
  [{ onBattery: true }, 'on-battery'],
  [{ stopped: true }, 'stopped'],
]

describe('a node that is held back', () => {
  test.each(HOLDS)('takes no seat, says why, and is back when it is let go (%j)', async (signals, reason) => {
    const node = bench()
    node.supervision.change(signals)
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason })
    // Of an earlier life, perhaps.
    node.say(seated(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason })
    node.supervision.change({ paused: false, onBattery: false, stopped: false })
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
  })

  test.each(HOLDS)('gives back a seat that it only asked for (%j)', async (signals, reason) => {
    const node = bench()
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
    node.supervision.change(signals)
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason, round: 1 })
    expect(told(node, 'left')).toEqual([reason])
  })

  test.each(HOLDS)('also where it is while it reads the plan (%j)', async (signals, reason) => {
    const [blobs, line, asked] = [openMemoryBlobs(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const getBlock: typeof blobs.getBlock = async (...args) => {
      asked.resolve()
      await line.promise
      return blobs.getBlock(...args)
    }
    const node = bench({ blobs: { ...blobs, getBlock } })
    node.say(invite(await node.plan()))
    await asked.promise
    node.supervision.change(signals)
    line.resolve()
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason })
    expect(node.said).toHaveLength(1)
  })

  test('by a pause keeps the seat that it trains for', async () => {
    const { trainer, begun, go, stopped } = held()
    const node = bench({ trainer })
    await seat(node)
    await begun
    node.supervision.change({ paused: true })
    node.say(invite(await node.plan({ round: 2 }), 2))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'paused', round: 2 })
    expect(stopped).toEqual([])
    node.supervision.change({ paused: false })
    go()
    expect(await node.heard()).toMatchObject({ kind: 'report', round: 1 })
  })

  test.each(HOLDS.slice(1))('otherwise stops training at once and gives the seat up (%j)', async (signals, reason) => {
    const { trainer, begun, stopped } = held()
    const node = bench({ trainer })
    await seat(node)
    await begun
    node.supervision.change(signals)
    // Not a turn later.
    expect(stopped).toHaveLength(1)
    expect(await node.heard()).toMatchObject({ kind: 'leave', reason })
    expect(node.uploads).toEqual([])
    expect(told(node, 'left')).toEqual([reason])
    expect(told(node, 'failed')).toEqual([])
  })
})

describe('a member of a masked round', () => {
  test('that is paused owes the others what it owed: it masks, confirms and unmasks', async () => {
    for (const signals of [{ paused: true }, { onBattery: true }]) {
      const host = new Host(4)
      const { sharing } = await submitted(host)
      const [node] = host.nodes
      node?.supervision.change(signals)
      const survivors = await host.survivors(sharing)
      for (const seat of host.seats) host.survey(seat, survivors)
      for (const seat of host.seats) await host.confirmed(seat)
      const certificate = await host.certificate(sharing, survivors)
      for (const seat of host.seats) host.certify(seat, survivors, certificate)
      for (const seat of host.seats) await host.unmasked(seat)
    }
  })

  test('that is paused while it trains goes on when it is let, if the others are still at it', async () => {
    const { trainer, go } = held()
    const host = new Host(4, { trainer: (site) => (site === 0 ? trainer : toyTrainer(site)) })
    const { shared } = await agreed(host)
    host.node(0).supervision.change({ paused: true })
    for (const seat of host.seats) host.mask(seat, shared)
    for (const seat of [1, 2, 3]) await host.submitted(seat)
    expect(await kindsLeft(host, 0)).toEqual([])
    host.node(0).supervision.change({ paused: false })
    go()
    await host.submitted(0)
  })

  test('whose machine is on its battery leaves while it trains, and signs that it holds nothing', async () => {
    const { trainer, stopped } = held()
    const host = new Host(4, { trainer: (site) => (site === 0 ? trainer : toyTrainer(site)) })
    await agreed(host)
    host.node(0).supervision.change({ onBattery: true })
    expect(stopped).toHaveLength(1)
    expect((await host.hear(0, 'leave')).message.reason).toBe('on-battery')
    host.end(0, 'aborted')
    const frame = await host.hear(0, 'abandon')
    expect((await host.attached(frame, 'Abandon', frame.message.abandon)).body.confirmed).toBe(false)
  })

  test.each([
    ['dealt', dealt],
    ['agreed', agreed],
    ['submitted', submitted],
    ['confirmed', confirmed],
  ] as const)('that is stopped holds nothing any more and answers nothing, at any stage (%s)', async (name, stage) => {
    const host = new Host(4)
    const at = (await stage(host)) as Awaited<ReturnType<typeof confirmed>>
    await quiet(host)
    host.node(0).supervision.change({ stopped: true })
    expect((await host.hear(0, 'leave')).message.reason).toBe('stopped')
    const { journal, outbox } = host.node(0).kept
    const kept = await new Journal(journal).recall(RUN, 1)
    expect(kept?.said.has('Abandon')).toBe(true)
    const vector = kept?.vector?.cid
    if (vector) await expect(outbox.getBlock(vector, 2 ** 20)).rejects.toThrow()
    expect(vector !== undefined).toBe(name === 'submitted' || name === 'confirmed')

    host.sit(0, at.roster)
    if (name !== 'dealt') host.mask(0, at.shared)
    if (name === 'confirmed') {
      host.survey(0, at.survivors)
      host.certify(0, at.survivors, at.certificate)
    }
    const frames = await rest(host, 0)
    expect(frames.length).toBeGreaterThan(0)
    for (const { message } of frames) expect(message).toMatchObject({ kind: 'leave', reason: 'stopped' })
    // That it holds nothing is for the others to know.
    host.end(0, 'aborted')
    expect(await kindsLeft(host, 0)).toEqual(['abandon'])
  })

  test('that is stopped when it comes back gives nothing that an earlier life left in its outbox', async () => {
    const host = new Host(4)
    const { shared } = await submitted(host)
    const node = host.restart(0)
    node.supervision.change({ stopped: true })
    host.mask(0, shared)
    expect(await kindsLeft(host, 0)).toEqual(['leave'])
    expect(node.attached).toEqual([])
  })
})

describe('a node that drains', () => {
  test('ends at once where it has no seat', async () => {
    const node = bench()
    node.supervision.change({ draining: true })
    await node.life
  })

  test('gives back a seat that it only asked for, says so, and ends', async () => {
    const node = bench()
    node.say(invite(await node.plan()))
    expect(await node.heard()).toMatchObject({ kind: 'join' })
    node.supervision.change({ draining: true })
    await node.life
    expect(node.said.at(-1)?.message).toMatchObject({ kind: 'leave', reason: 'draining' })
  })

  test('finishes its seat, joins no other round, and ends when the round is over', async () => {
    const { trainer, begun, go } = held()
    const node = bench({ trainer })
    await seat(node)
    await begun
    node.supervision.change({ ending: true })
    node.say(invite(await node.plan({ round: 2 }), 2))
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'draining' })
    go()
    expect(await node.heard()).toMatchObject({ kind: 'report' })
    node.say({ kind: 'ended', run: RUN, round: 1, outcome: 'closed', reason: '' })
    await node.life
    // Nothing that it had to tell is lost.
    expect(node.progress.map(({ kind }) => kind).slice(-2)).toEqual(['reported', 'ended'])
  })

  test('stays for a masked round until it has unmasked', async () => {
    const host = new Host(4)
    const { survivors, certificate } = await confirmed(host)
    const node = host.node(0)
    node.supervision.change({ draining: true })
    host.certify(0, survivors, certificate)
    await host.unmasked(0)
    host.end(0, 'closed')
    await node.life
  })

  test('waits for no coordinator longer than the round can last', async () => {
    const { trainer, begun } = held()
    const node = bench({ trainer })
    await seat(node)
    await begun
    node.supervision.change({ draining: true })
    let isOver = false
    node.life.then(() => {
      isOver = true
    })
    // Selection, reporting, aggregation and settlement.
    await node.clock.advance(7999)
    expect(isOver).toBe(false)
    await node.clock.advance(1)
    await node.life
  })

  test('and is stopped, or told to stay, does that', async () => {
    const [stopped, stays] = [held(), held()]
    const [first, second] = [bench({ trainer: stopped.trainer }), bench({ trainer: stays.trainer })]
    for (const node of [first, second]) await seat(node)
    await Promise.all([stopped.begun, stays.begun])
    for (const node of [first, second]) node.supervision.change({ draining: true })
    first.supervision.change({ stopped: true })
    await first.life
    expect(first.said.at(-1)?.message).toMatchObject({ kind: 'leave', reason: 'stopped' })
    second.supervision.change({ draining: false })
    stays.go()
    expect(await second.heard()).toMatchObject({ kind: 'report' })
    second.say({ kind: 'ended', run: RUN, round: 1, outcome: 'closed', reason: '' })
    second.say(invite(await second.plan({ round: 2 }), 2))
    expect(await second.heard()).toMatchObject({ kind: 'join', round: 2 })
  })
})
