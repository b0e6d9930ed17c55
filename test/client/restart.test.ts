import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hear } from '#aggregation/secagg/messages.ts'
import { toHex } from '#protocol/bytes.ts'
import type { Signed } from '#protocol/envelope.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { must } from '#test/aggregation/given.ts'
import { sameBytes } from '#test/content.ts'
import { times } from '#test/effort.ts'
import type { Kept, SaidFrame } from './bench.ts'
import { Host } from './host.ts'
import {
  agreed,
  type Certified,
  confirmed,
  dealt,
  kindsLeft,
  quiet,
  rest,
  signedIn,
  submitted,
  told,
  unmasked,
} from './stages.ts'

async function copyOf(log: EventLog): Promise<EventLog> {
  const copy = openMemoryLog()
  for await (const stream of log.streams('')) {
    const entries = []
    for await (const entry of log.read(stream)) entries.push(entry)
    await copy.append(stream, 0, entries)
  }
  return copy
}

const restored = async ({ journal }: Kept): Promise<Kept> => ({
  journal: await copyOf(journal),
  outbox: openMemoryBlobs(),
})

async function abandoned(host: Host, seat: number) {
  const frame = await host.hear(seat, 'abandon')
  return host.attached(frame, 'Abandon', frame.message.abandon)
}

async function signed(frames: readonly SaidFrame[]): Promise<readonly Signed[]> {
  return (await Promise.all(frames.map(signedIn))).flat()
}

describe('a node that restarts', () => {
  test('after it joined gives its seat up: its keys went with the process', async () => {
    const host = new Host(4)
    await host.open()
    await host.join()
    host.restart(0)
    host.sit(0, await host.roster())
    expect((await host.hear(0, 'leave')).message.reason).toBe('keys-gone')
    host.end(0, 'aborted')
    expect(await kindsLeft(host, 0)).toEqual([])
  })

  test('after it dealt keys says once to whoever waits that it is out, and signs nothing but that', async () => {
    const host = new Host(4)
    const { roster } = await dealt(host)
    const shared = await host.shared(roster)
    host.restart(0)
    host.sit(0, roster)
    host.share(0, shared)
    host.mask(0, shared)
    const frames = await rest(host, 0)
    expect(frames.map(({ message }) => message)).toMatchObject([
      { kind: 'leave', reason: 'restarted' },
      { kind: 'leave', reason: 'restarted' },
    ])
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).body).toEqual({ sid: host.session(roster).sid, u: 1, confirmed: true })
  })

  test('is not taken into that round again', async () => {
    const host = new Host(4)
    await dealt(host)
    host.restart(0)
    host.invite(0)
    expect((await host.hear(0, 'decline')).message.reason).toBe('restarted')
  })

  test('after it agreed masks nothing: it is a dropout', async () => {
    const host = new Host(4)
    const { shared } = await agreed(host)
    host.restart(0)
    host.share(0, shared)
    host.mask(0, shared)
    expect(await kindsLeft(host, 0)).toEqual(['leave'])
  })

  test('after it submitted gives the same bytes again, vector and all, and confirms nothing', async () => {
    const host = new Host(4)
    const { roster, shared, sharing } = await submitted(host)
    const [input] = host.inputs
    const vector = host.vectors.get(0)
    host.restart(0)
    host.sit(0, roster)
    host.share(0, shared)
    host.mask(0, shared)
    expect((await host.submitted(0)).cid).toBe(input?.cid)
    expect(sameBytes(host.vectors.get(0) as Bytes, vector as Bytes)).toBe(true)
    host.survey(0, await host.survivors(sharing))
    expect((await host.hear(0, 'leave')).message.reason).toBe('restarted')
  })

  test('gives a large vector again from its outbox', async () => {
    const layers = [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }] as const
    const host = new Host(4, { architecture: { v: 1, input: [263_000], layers } })
    const { shared } = await submitted(host)
    const before = host.vectors.get(0)
    const after = host.restart(0)
    host.mask(0, shared)
    await host.submitted(0)
    expect(after.uploads).toHaveLength(1)
    expect(sameBytes(host.vectors.get(0) as Bytes, before as Bytes)).toBe(true)
  })

  test('after it confirmed repeats its Confirm, and gives no shares', async () => {
    const host = new Host(5)
    const { sharing, survivors, certificate } = await confirmed(host)
    const [confirm] = host.confirms
    host.restart(0)
    host.survey(0, survivors)
    expect((await host.confirmed(0)).cid).toBe(confirm?.cid)
    host.survey(0, await host.survivors(sharing, [0, 1, 2, 3]))
    expect((await host.confirmed(0)).cid).toBe(confirm?.cid)
    host.certify(0, survivors, certificate)
    expect((await host.hear(0, 'leave')).message.reason).toBe('restarted')
  })

  test('after it unmasked repeats its shares, and never says that it holds nothing', async () => {
    const host = new Host(4)
    const { survivors, certificate } = await unmasked(host)
    const [unmask] = host.unmasks
    host.restart(0)
    host.certify(0, survivors, certificate)
    expect((await host.unmasked(0)).cid).toBe(unmask?.cid)
    host.end(0, 'aborted')
    expect(await kindsLeft(host, 0)).toEqual([])
  })

  test('between keeping its Confirm and sending it says that very one', async () => {
    const host = new Host(4)
    const { sharing } = await submitted(host)
    const survivors = await host.survivors(sharing)
    host.node(0).breaks = 1
    host.survey(0, survivors)
    await quiet(host)
    expect(told(host.node(0), 'failed')).toEqual(['survivors: the link broke'])
    host.restart(0)
    host.survey(0, survivors)
    expect((await host.confirmed(0)).body.u3Hash).toEqual(survivors.hash)
  })

  test('and said that it holds nothing repeats nothing else any more', async () => {
    const host = new Host(4)
    const { shared, survivors, certificate } = await confirmed(host)
    host.restart(0)
    host.end(0, 'aborted')
    const said = await abandoned(host, 0)
    host.mask(0, shared)
    host.survey(0, survivors)
    host.certify(0, survivors, certificate)
    const frames = await rest(host, 0)
    expect(frames.map(({ message }) => message)).toMatchObject([
      { kind: 'leave', reason: 'abandoned' },
      { kind: 'leave', reason: 'abandoned' },
    ])
    host.end(0, 'aborted')
    expect((await abandoned(host, 0)).cid).toBe(said.cid)
  })
})

describe('a state folder restored from a copy', () => {
  test('taken before Confirm signs no second one, for whatever set it is asked', async () => {
    const host = new Host(5)
    const { sharing } = await submitted(host)
    const copy = await restored(host.node(0).kept)
    const survivors = await host.survivors(sharing)
    host.survey(0, survivors)
    await host.confirmed(0)
    host.restart(0, copy)
    for (const seats of [host.seats, [0, 1, 2, 3]]) host.survey(0, await host.survivors(sharing, seats))
    const frames = await rest(host, 0)
    expect(frames.map(({ message }) => message.kind)).toEqual(['leave', 'leave'])
    expect(await signed(frames)).toEqual([])
  })

  test('taken before masking masks nothing, and takes nothing into another session of that round', async () => {
    const host = new Host(5)
    const { roster, shared } = await agreed(host)
    const copy = await restored(host.node(0).kept)
    host.mask(0, shared)
    await host.submitted(0)
    host.restart(0, copy)
    host.sit(0, roster)
    host.share(0, shared)
    host.mask(0, await host.shared(roster, [0, 1, 2, 3], 2))
    host.invite(0)
    const frames = await rest(host, 0)
    expect(new Set(frames.map(({ message }) => message.kind))).toEqual(new Set(['leave', 'decline']))
    expect(await signed(frames)).toEqual([])
  })
})

describe('a node that restarts at any time and hears anything', () => {
  const stages = [dealt, agreed, submitted, confirmed, unmasked] as const
  test('signs nothing that it had not signed before, but that it holds nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(stages.length - 1),
        fc.array(fc.nat(7), { minLength: 1, maxLength: 12 }),
        fc.nat(1000),
        async (stage, asked, name) => {
          const host = new Host(4, { name: `restart ${name}` })
          const before = (await stages[stage]?.(host)) as Certified
          const known = new Set<string>()
          for (const frame of host.node(0).said)
            for (const one of await signedIn(frame)) known.add(toHex(one.signature))
          const shared = before.shared ?? (await host.shared(before.roster))
          host.restart(0)
          for (const ask of asked) {
            if (ask === 0) host.sit(0, before.roster)
            if (ask === 1) host.share(0, shared)
            if (ask === 2) host.mask(0, shared)
            if (ask === 3 && before.survivors) host.survey(0, before.survivors)
            if (ask === 4 && before.sharing && host.inputs.length === 4)
              host.survey(0, await host.survivors(before.sharing, [0, 1, 2]))
            if (ask === 5 && before.certificate) host.certify(0, before.survivors, before.certificate)
            if (ask === 6) host.end(0, 'aborted')
            if (ask === 7) host.invite(0)
            await quiet(host)
          }
          for (const one of await signed(await rest(host, 0))) {
            if (known.has(toHex(one.signature))) continue
            expect(must(hear('Abandon', one)).body.confirmed).toBe(true)
            // Never after its shares were given.
            expect(stage).toBeLessThan(4)
          }
        },
      ),
      { numRuns: times(4, 8) },
    )
  })
})
