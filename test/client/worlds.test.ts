import { describe, expect, test } from '@jest/globals'
import { certificateOf } from '#aggregation/secagg/aggregator.ts'
import { isProven } from '#aggregation/secagg/equivocation.ts'
import { type Body, type Said, say } from '#aggregation/secagg/messages.ts'
import { Journal } from '#client/journal.ts'
import { RUN } from '#sim/setting.ts'
import { must } from '#test/aggregation/given.ts'
import { Host } from './host.ts'
import { confirmed, kindsLeft, rest, signedIn, told, unmasked } from './stages.ts'

/** What this node can show to anybody of the coordinator's lies. */
async function lies(host: Host, seat: number): Promise<readonly string[]> {
  const found = await new Journal(host.node(seat).kept.journal).recall(RUN, host.round)
  const proofs = found?.proofs ?? []
  expect(proofs.every(isProven)).toBe(true)
  return proofs.map(({ lie }) => lie)
}

describe('members that are given different rosters', () => {
  /** Seats 0 to 2 are in one session and 3 and 4 in another, of the same adverts. */
  async function apart() {
    const host = new Host(5)
    await host.open()
    await host.join()
    const [one, other] = [await host.roster(), await host.roster({ attempt: 2 })]
    await host.deal(one, [0, 1, 2])
    await host.deal(other, [3, 4])
    return { host, one, other }
  }

  test('are too few for either U2, and mask nothing', async () => {
    const { host, one, other } = await apart()
    for (const [roster, seats] of [
      [one, [0, 1, 2]],
      [other, [3, 4]],
    ] as const) {
      const shared = await host.shared(roster, seats)
      for (const seat of seats) {
        host.share(seat, shared)
        host.mask(seat, shared)
        expect((await host.hear(seat, 'leave')).message.reason).toBe('too-few-members')
        expect(await kindsLeft(host, seat)).toEqual([])
      }
    }
    expect(host.seats.flatMap((seat) => told(host.node(seat), 'masked'))).toEqual([])
  })

  test('take no U2 that mixes them: keys that were dealt in one session are none in the other', async () => {
    const { host, one } = await apart()
    const sid = host.session(one).sid
    const list = host.keys.map(({ cid }, seat) => ({ u: seat + 1, cid }))
    const mixed = await host.state('Shared', { sid, ver: 1, list })
    for (const seat of host.seats) {
      host.share(seat, mixed)
      host.mask(seat, mixed)
      await host.hear(seat, 'leave')
      expect(await kindsLeft(host, seat)).toEqual([])
    }
    expect(host.seats.flatMap((seat) => told(host.node(seat), 'masked'))).toEqual([])
  })

  test('need only compare what they were given: the two are a proof, and whoever sees both has it', async () => {
    const { host, one, other } = await apart()
    host.sit(0, other)
    host.sit(3, one)
    for (const seat of [0, 3]) {
      expect((await host.hear(seat, 'leave')).message.reason).toBe('equivocation')
      expect(await lies(host, seat)).toEqual(['advert-in-two-rosters'])
    }
  })
})

describe('a member that has given its shares', () => {
  /** Another set, certified by the three others, as no honest quorum would. */
  async function another(host: Host, before: Awaited<ReturnType<typeof confirmed>>) {
    const { sharing } = before
    const survivors = await host.survivors(sharing, [0, 1, 2, 3])
    const confirms = [0, 1, 2, 3].map((seat) =>
      say(host.node(seat).signer, 'Confirm', { sid: sharing.session.sid, u: seat + 1, u3Hash: survivors.hash }),
    )
    const body: Body<'QuorumCert'> = must(certificateOf(host.survival(sharing, survivors), confirms))
    return { survivors, certificate: await host.state('QuorumCert', body) }
  }
  const shares = async (host: Host) =>
    (await Promise.all((await rest(host, 0)).map(signedIn))).flat().filter(({ type }) => type === 'Unmask')

  test('repeats them, in the same bytes, as often as it is asked', async () => {
    const host = new Host(5)
    const { survivors, certificate } = await unmasked(host)
    const given = host.unmasks[0] as Said<'Unmask'>
    for (let ask = 0; ask < 3; ask++) host.certify(0, survivors, certificate)
    const repeated = await shares(host)
    expect(repeated).toHaveLength(3)
    for (const one of repeated) expect(one).toEqual(given.signed)
  })

  test('gives none for another set, however well that is certified, and keeps the proof', async () => {
    const host = new Host(5)
    const before = await unmasked(host)
    const { survivors, certificate } = await another(host, before)
    host.certify(0, survivors, certificate)
    expect(await shares(host)).toEqual([])
    expect(await lies(host, 0)).toEqual(['two-Survivors'])
  })

  test('nor when it had only confirmed the first', async () => {
    const host = new Host(5)
    const before = await confirmed(host)
    const { survivors, certificate } = await another(host, before)
    host.certify(0, survivors, certificate)
    host.certify(0, before.survivors, before.certificate)
    expect(await shares(host)).toEqual([])
    expect(await lies(host, 0)).toEqual(['two-Survivors'])
  })
})
