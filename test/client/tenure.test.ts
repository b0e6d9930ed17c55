import { describe, expect, test } from '@jest/globals'
import { UNSPENT } from '#aggregation/secagg/spending.ts'
import { Journal } from '#client/journal.ts'
import { Membership } from '#client/membership.ts'
import { clearOutbox } from '#client/outbox.ts'
import { siteTerms } from '#client/site.ts'
import { randomBytes } from '#crypto'
import type { Cid } from '#protocol/ids.ts'
import { type BlobStore, StorageFull, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import { RUN } from '#sim/setting.ts'
import { toyTrainer } from '#sim/toy.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import { type Bench, coordinator, invite, NOW, OTHER_RUN } from './bench.ts'
import { DEADLINES, Host } from './host.ts'
import { agreed, confirmed, dealt, kindsLeft, quiet, submitted, told, unmasked } from './stages.ts'
import { plainVector } from './vectors.ts'

const broken = (site: number): TrainerBackend => {
  return { ...toyTrainer(site), fit: () => Promise.reject(new TrainingRefused('data-contract', 'no column x')) }
}
const lastDeadline = (host: Host) => host.clock.advance(DEADLINES[3] - host.clock.now())

async function vectorOf({ kept }: Bench): Promise<Cid> {
  const recalled = await new Journal(kept.journal).recall(RUN, 1)
  if (!recalled?.vector) throw new Error('nothing was masked')
  return recalled.vector.cid
}

async function abandoned(host: Host, seat: number) {
  const frame = await host.hear(seat, 'abandon')
  return host.attached(frame, 'Abandon', frame.message.abandon)
}

describe('what a member holds', () => {
  test('is gone at the last deadline, and nothing that is said afterwards gets a share of it', async () => {
    const host = new Host(4)
    const { survivors, certificate } = await confirmed(host)
    await lastDeadline(host)
    expect(told(host.node(0), 'failed')).toEqual(['session-expired'])
    host.survey(0, survivors)
    host.certify(0, survivors, certificate)
    expect(await kindsLeft(host, 0)).toEqual(['leave', 'leave'])
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body.confirmed).toBe(true)
  })

  test('is gone when nobody comes back to its advert', async () => {
    const host = new Host(4)
    await host.open()
    await host.join()
    const far = 10 * NOW
    const roster = await host.roster({ deadlines: [far, far + 1, far + 2, far + 3] })
    await host.clock.advance(far / 2)
    expect(host.clock.waiting()).toBe(0)
    host.sit(0, roster)
    expect(await kindsLeft(host, 0)).toEqual(['leave'])
  })

  test('is waited for by nothing once the round is over', async () => {
    const host = new Host(4)
    await submitted(host)
    expect(host.clock.waiting()).toBe(4)
    for (const seat of host.seats) host.end(seat, seat < 2 ? 'aborted' : 'closed')
    await quiet(host)
    expect(host.clock.waiting()).toBe(0)
  })

  test('is not told to be gone when it was given', async () => {
    const host = new Host(4)
    await unmasked(host)
    await lastDeadline(host)
    expect(told(host.node(0), 'failed')).toEqual([])
  })

  test('of its masked vector is removed when the round is over, however it ends', async () => {
    const host = new Host(4)
    await unmasked(host)
    const vectors = await Promise.all(host.nodes.map(vectorOf))
    const lies = () => Promise.all(host.nodes.map(({ kept }, seat) => isThere(kept.outbox, vectors[seat] as Cid)))
    expect(await lies()).toEqual([true, true, true, true])
    host.end(0, 'closed')
    host.end(1, 'aborted')
    await quiet(host)
    expect(await lies()).toEqual([false, false, true, true])
    await lastDeadline(host)
    expect(await lies()).toEqual([false, false, false, false])
  })

  test('of a vector that an earlier life left is removed after its time, by whoever starts next', async () => {
    const host = new Host(4)
    await submitted(host)
    const [node] = host.nodes as [Bench]
    const vector = await vectorOf(node)
    const journal = new Journal(node.kept.journal)
    await clearOutbox(node.kept.outbox, journal, DEADLINES[3] - 1)
    expect(await isThere(node.kept.outbox, vector)).toBe(true)
    await clearOutbox(node.kept.outbox, journal, DEADLINES[3])
    expect(await isThere(node.kept.outbox, vector)).toBe(false)
  })

  test('of the plain vector is overwritten where there is nothing to mask it for', async () => {
    const host = new Host(4)
    await dealt(host)
    const { signer, kept } = host.node(0)
    const doors = {
      ...{ blobs: asRemote(host.blobs), outbox: kept.outbox, journal: new Journal(kept.journal), clock: host.clock },
      ...{ chance: randomBytes, send: async () => undefined, tell: () => undefined },
      site: { ...siteTerms('open', 'open'), signer, coordinator: coordinator.id },
    }
    const { plan } = host
    const entry = {
      ...{ run: RUN, round: 1, plan, closesAt: NOW, assignment: await host.assignment() },
      ...{ inputKey: 'bafy', seq: 1, freshness: UNSPENT, spent: 0 },
    }
    const membership = new Membership(doors, entry, new AbortController())
    const lanes = await plainVector(host, 0)
    const submitting = membership.submit({ lanes, trainMillis: 1 }, Promise.resolve(true))
    await membership.close('closed')
    expect(await submitting).toEqual({ ok: true, value: undefined })
    expect(lanes.every((lane) => lane === 0)).toBe(true)
  })
})

function isThere(outbox: BlobStore, vector: Cid): Promise<boolean> {
  return outbox.getBlock(vector, 2 ** 20).then(
    () => true,
    () => false,
  )
}

describe('a member whose round is aborted', () => {
  test('signs that it holds nothing, once, and says so as often as it is told', async () => {
    const host = new Host(4)
    const { roster } = await submitted(host)
    host.end(0, 'aborted', 'too-few-confirmations')
    const said = await abandoned(host, 0)
    expect(said.body).toEqual({ sid: host.session(roster).sid, u: 1, confirmed: false })
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).cid).toBe(said.cid)
  })

  test('and that confirmed says so, and answers no certificate any more', async () => {
    const host = new Host(4)
    const { survivors, certificate } = await confirmed(host)
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body.confirmed).toBe(true)
    host.survey(0, survivors)
    host.certify(0, survivors, certificate)
    expect(await kindsLeft(host, 0)).toEqual(['leave', 'leave'])
  })

  test('says nothing where it has unmasked, dealt nothing, or the round closed', async () => {
    const host = new Host(4)
    await host.open()
    await host.join([0])
    host.end(0, 'aborted')
    expect(await kindsLeft(host, 0)).toEqual([])

    const other = new Host(4)
    await unmasked(other)
    other.end(1, 'aborted')
    expect(await kindsLeft(other, 1)).toEqual([])

    const third = new Host(4)
    await submitted(third)
    third.end(2, 'closed')
    expect(await kindsLeft(third, 2)).toEqual([])
  })

  test('while it masks signs only when the last of what it held is gone', async () => {
    const host = new Host(4)
    const { shared } = await agreed(host)
    const [begun, disk] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()]
    host.node(0).kept.outbox.put = () => {
      begun.resolve()
      return disk.promise
    }
    host.mask(0, shared)
    await begun.promise
    host.end(0, 'aborted')
    expect(await kindsLeft(host, 0)).toEqual([])
    const journal = new Journal(host.node(0).kept.journal)
    expect((await journal.recall(RUN, 1))?.said.has('Abandon')).toBe(false)
    disk.reject(new Error('given up'))
    expect((await abandoned(host, 0)).body.confirmed).toBe(false)
    expect(await kindsLeft(host, 0)).toEqual([])
    expect((await journal.recall(RUN, 1))?.vector).toBeUndefined()
  })

  test('and that was given up for a newer one says of the older one that it holds nothing', async () => {
    const host = new Host(4)
    await agreed(host)
    await host.open(2)
    await host.join([0])
    host.round = 1
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body.confirmed).toBe(false)
  })
})

describe('a member that gives its seat up', () => {
  test('because it cannot train holds nothing any more, and says so when it is asked', async () => {
    const host = new Host(4, { trainer: (site) => (site === 0 ? broken(site) : toyTrainer(site)) })
    await host.open()
    await host.join()
    const roster = await host.roster()
    host.sit(0, roster)
    await host.dealt(0)
    expect((await host.hear(0, 'leave')).message.reason).toBe('data-contract')
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body.confirmed).toBe(false)
  })

  test('because its disk is full has given nothing', async () => {
    const host = new Host(4)
    const { shared } = await agreed(host)
    host.node(0).kept.outbox.put = () => Promise.reject(new StorageFull('the disk is full'))
    host.mask(0, shared)
    expect((await host.hear(0, 'leave')).message.reason).toBe('fault')
    expect(told(host.node(0), 'failed')).toEqual(['the disk is full'])
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body.confirmed).toBe(false)
  })
})

describe('a member', () => {
  test('is kept from other runs by its session, and no longer', async () => {
    const host = new Host(4)
    await agreed(host)
    const node = host.node(0)
    const elsewhere = invite(await node.plan({ run: OTHER_RUN }), 1, OTHER_RUN)
    node.say(elsewhere)
    expect(await node.heard()).toMatchObject({ kind: 'decline', reason: 'busy' })
    await lastDeadline(host)
    node.say(elsewhere)
    expect(await node.heard()).toMatchObject({ kind: 'join', run: OTHER_RUN })
  })

  test('looks again, when it masks, whether its input may be given', async () => {
    const host = new Host(4)
    const { roster, shared } = await agreed(host)
    const { plan } = await host.assignment()
    const elsewhere = { inputKey: plan.model, sid: roster.hash, run: OTHER_RUN, round: 1, task: plan.task }
    await new Journal(host.node(0).kept.journal).spend(elsewhere)
    host.mask(0, shared)
    expect((await host.hear(0, 'leave')).message.reason).toBe('input-spent')
  })

  test('sends nothing of what it signed once it said that it holds nothing', async () => {
    const host = new Host(4)
    const { sharing } = await submitted(host)
    const { journal } = host.node(0).kept
    const append = journal.append.bind(journal)
    const disk = Promise.withResolvers<void>()
    journal.append = (...args) => disk.promise.then(() => append(...args))
    host.survey(0, await host.survivors(sharing))
    await lastDeadline(host)
    disk.resolve()
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body.confirmed).toBe(true)
    expect(await kindsLeft(host, 0)).toEqual([])
  })

  test('keeps what it says before it sends it: a journal that cannot be written says nothing', async () => {
    const host = new Host(4)
    const { sharing } = await submitted(host)
    const survivors = await host.survivors(sharing)
    const { journal } = host.node(0).kept
    const append = journal.append.bind(journal)
    journal.append = () => Promise.reject(new StorageFull('the disk is full'))
    host.survey(0, survivors)
    expect(await kindsLeft(host, 0)).toEqual([])
    expect(told(host.node(0), 'failed')).toEqual(['survivors: the disk is full'])
    journal.append = append
    host.survey(0, survivors)
    await host.confirmed(0)
    expect((await new Journal(journal).recall(RUN, 1))?.said.has('Confirm')).toBe(true)
  })
})
