import { describe, expect, test } from '@jest/globals'
import { type Said, say } from '#aggregation/secagg/messages.ts'
import type { Cid } from '#protocol/ids.ts'
import type { Plan } from '#protocol/plan.ts'
import { invite, OTHER_RUN } from './bench.ts'
import { Host } from './host.ts'
import { type Agreed, agreed, type Certified, confirmed, kindsLeft, submitted, told } from './stages.ts'
import { plainSum, plainVector, unmaskedSum } from './vectors.ts'

/** Everybody says of the session that it holds nothing. */
async function abandons(host: Host, seats = host.seats): Promise<readonly Said<'Abandon'>[]> {
  const said: Said<'Abandon'>[] = []
  for (const seat of seats) {
    host.end(seat, 'aborted')
    const frame = await host.hear(seat, 'abandon')
    said.push(await host.attached(frame, 'Abandon', frame.message.abandon))
  }
  return said
}

const abandoned = (host: Host, { roster }: Agreed, said: readonly Said<'Abandon'>[]): Promise<Cid> =>
  host.endings([{ round: 1, roster: roster.cid, certified: null, abandons: said.map(({ cid }) => cid) }])

const certified = (host: Host, { roster, shared, survivors, certificate }: Certified): Promise<Cid> => {
  const by = { shared: shared.cid, survivors: survivors.cid, certificate: certificate.cid }
  return host.endings([{ round: 1, roster: roster.cid, certified: by, abandons: [] }])
}

/** The next round over the same model. @returns what the first node answers */
async function again(host: Host, change: Partial<Plan>, round = 2): Promise<string> {
  await host.open(round, change)
  host.invite(0)
  const { message } = await host.node(0).frame()
  return message.kind === 'decline' ? message.reason : message.kind
}

/** The same, by everybody, up to the submitted inputs. */
async function replayed(host: Host, change: Partial<Plan>): Promise<Agreed> {
  await host.open(2, change)
  await host.join()
  const roster = await host.roster()
  await host.deal(roster)
  const shared = await host.shared(roster)
  for (const seat of host.seats) {
    host.share(seat, shared)
    host.mask(seat, shared)
    await host.hear(seat, 'agree')
    await host.submitted(seat)
  }
  return { roster, shared, sharing: host.sharing(roster, shared) }
}

describe('an input that went into a session', () => {
  test('goes into no other while the plan shows nothing of how that one ended, also after a restart', async () => {
    const host = new Host(4)
    await submitted(host)
    for (const seat of host.seats) host.end(seat, 'closed')
    expect(await again(host, {})).toBe('input-spent')
    host.restart(0)
    expect(await again(host, {}, 3)).toBe('input-spent')
    expect(told(host.node(0), 'declined')).toEqual(['input-spent: the plan shows no ending of any session'])
  })

  test('is free where it never was masked', async () => {
    const host = new Host(4)
    await agreed(host)
    await abandons(host)
    expect(await again(host, {})).toBe('join')
  })

  test('is free again when so many abandoned that no sum can be opened, and is then summed exactly', async () => {
    const host = new Host(4)
    const before = await submitted(host)
    const endings = await abandoned(host, before, await abandons(host))
    const { roster, shared, sharing } = await replayed(host, { endings })
    const survivors = await host.survivors(sharing)
    for (const seat of host.seats) host.survey(seat, survivors)
    for (const seat of host.seats) await host.confirmed(seat)
    const certificate = await host.certificate(sharing, survivors)
    for (const seat of host.seats) host.certify(seat, survivors, certificate)
    for (const seat of host.seats) await host.unmasked(seat)
    expect(await unmaskedSum(host, roster, shared, survivors, certificate)).toEqual(await plainSum(host, host.seats))
  })

  test('is not free when one fewer abandoned', async () => {
    const host = new Host(4)
    const before = await submitted(host)
    const said = await abandons(host)
    expect(await again(host, { endings: await abandoned(host, before, said.slice(0, 2)) })).toBe('too-few-abandoned')
  })

  test('is not free for what another session’s members or a stranger abandoned', async () => {
    const [host, other] = [new Host(4), new Host(4, { name: 'other' })]
    const [before, foreign] = [await submitted(host), await submitted(other)]
    const said = await abandons(other)
    for (const one of said) await host.keep(one)
    for (const seat of host.seats) host.end(seat, 'closed')
    expect(await again(host, { endings: await abandoned(host, before, said) })).toBe('too-few-abandoned')
    await host.keep(foreign.roster)
    const elsewhere = await host.endings([
      { round: 1, roster: foreign.roster.cid, certified: null, abandons: said.map(({ cid }) => cid) },
    ])
    expect(await again(host, { endings: elsewhere }, 3)).toBe('input-spent')
  })

  test('may be followed by a fresh one into the very same sum, and into no other of its members', async () => {
    for (const [left, kind] of [
      [[0, 1, 2, 3, 4], 'confirm'],
      [[0, 1, 2, 3], 'leave'],
    ] as const) {
      const host = new Host(5)
      const before = await confirmed(host)
      const first = await plainVector(host, 0)
      for (const seat of host.seats) host.end(seat, 'closed')
      const { sharing } = await replayed(host, { endings: await certified(host, before) })
      expect(await plainVector(host, 0)).not.toEqual(first)
      host.survey(0, await host.survivors(sharing, left))
      const [answer] = await kindsLeft(host, 0)
      expect(answer).toBe(kind)
      if (kind === 'leave') expect(told(host.node(0), 'failed').at(-1)).toMatch(/^sums-too-alike/)
    }
  })

  test('may be given again under the seeds that made it: the same order launched twice', async () => {
    const host = new Host(4)
    const before = await confirmed(host)
    host.end(0, 'closed')
    const node = host.node(0)
    const { plan } = await host.assignment()
    const endings = await certified(host, before)
    node.say(invite(await node.plan({ ...plan, run: OTHER_RUN, endings }), 1, OTHER_RUN))
    expect(await node.heard()).toMatchObject({ kind: 'join', run: OTHER_RUN })
  })

  test.each([
    ['a certificate by another', 'not-the-coordinator', { certificate: 0 }],
    ['a list of survivors by another', 'not-the-coordinator', { survivors: 0 }],
  ] as const)('is not free for %s', async (_, refusal, forged) => {
    const host = new Host(4)
    const before = await confirmed(host)
    for (const seat of host.seats) host.end(seat, 'closed')
    const { signer } = host.node(1)
    const { survivors, certificate } = before
    const lie =
      'certificate' in forged
        ? { ...before, certificate: say(signer, 'QuorumCert', certificate.body) }
        : { ...before, survivors: say(signer, 'Survivors', survivors.body) }
    for (const said of [lie.certificate, lie.survivors]) await host.keep(said)
    expect(await again(host, { endings: await certified(host, lie) })).toBe(refusal)
  })
})
