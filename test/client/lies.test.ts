import { describe, expect, test } from '@jest/globals'
import { certificateOf } from '#aggregation/secagg/aggregator.ts'
import { isProven } from '#aggregation/secagg/equivocation.ts'
import { type Body, type Said, say } from '#aggregation/secagg/messages.ts'
import { Journal } from '#client/journal.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { RUN } from '#sim/setting.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { coordinator, stranger } from './bench.ts'
import { DEADLINES, Host } from './host.ts'
import { agreed, confirmed, dealt, kindsLeft, submitted, told } from './stages.ts'

/** Seat 0 leaves by this name, its operator is told, and from then on it says nothing but that it left. */
async function refuses(host: Host, refusal: string): Promise<void> {
  const { message } = await host.hear(0, 'leave')
  expect(message.reason).toBe(refusal)
  expect(told(host.node(0), 'failed').at(-1)).toMatch(new RegExp(`^${refusal}`))
  expect(await kindsLeft(host, 0)).toEqual([])
}

function block(bytes: Uint8Array): Block {
  return { cid: cidOf(DAG_CBOR, bytes), bytes }
}

async function proofs(host: Host) {
  const found = await new Journal(host.node(0).kept.journal).recall(RUN, host.round)
  return found?.proofs ?? []
}

describe('a roster', () => {
  async function joined(): Promise<Host> {
    const host = new Host(4)
    await host.open()
    await host.join()
    return host
  }
  /** The honest members with others in some places. */
  async function withMembers(host: Host, change: Readonly<Record<number, Partial<Body<'Roster'>['members'][number]>>>) {
    const { members } = (await host.roster()).body
    return host.roster({ members: members.map((member, seat) => ({ ...member, ...change[seat] })) })
  }
  const advertBy = async (host: Host, signer: typeof stranger, seat: number) => {
    const advert = say(signer, 'Advert', { ...(host.adverts[seat] as Said<'Advert'>).body, cPk: seed(7) })
    await host.keep(advert)
    return advert
  }

  const lies: readonly [string, string, (host: Host) => Promise<Said<'Roster'>>][] = [
    [
      'with the keys of a member swapped for the coordinator’s own',
      'wrong-advert',
      async (host) => withMembers(host, { 1: { advert: (await advertBy(host, coordinator, 1)).cid } }),
    ],
    [
      'with another advert of this very node',
      'own-advert-missing',
      async (host) => withMembers(host, { 0: { advert: (await advertBy(host, host.node(0).signer, 0)).cid } }),
    ],
    ['with a stranger in it', 'not-allowed', (host) => withStranger(host)],
    ['with a quorum too small', 'wrong-quorum', (host) => host.roster({ params: { q: 2 } })],
    ['with too few shares for a secret', 'wrong-threshold', (host) => host.roster({ params: { t: 1 } })],
    ['over another model', 'wrong-model', (host) => host.roster({ modelCid: host.plan })],
    ['of another plan', 'wrong-plan', (host) => host.roster({ specCid: host.adverts[0]?.cid as never })],
    ['for another vector', 'wrong-vector', (host) => host.roster({ params: { d: 4 } })],
    ['that comes too late', 'too-late', (host) => host.roster({ deadlines: [1, 2, 3, 4] })],
    [
      'by somebody else',
      'not-the-coordinator',
      async (host) => {
        const roster = say(stranger, 'Roster', (await host.roster()).body)
        await host.keep(roster)
        return roster
      },
    ],
  ]
  async function withStranger(host: Host): Promise<Said<'Roster'>> {
    const advert = say(stranger, 'Advert', { ...(host.adverts[3] as Said<'Advert'>).body, id: stranger.id })
    await host.keep(advert)
    const { members } = (await host.roster()).body
    const strange = [...members.slice(0, 3), { id: stranger.id, advert: advert.cid }]
    return host.roster({ members: strange.toSorted((a, b) => (a.id < b.id ? -1 : 1)) })
  }
  test.each(lies)('%s is refused before any key is dealt (%s)', async (_, refusal, lie) => {
    const host = await joined()
    const roster = await lie(host)
    host.sit(0, roster)
    await refuses(host, refusal)
    expect(told(host.node(0), 'seated')).toEqual([])
  })

  test('is needed in a masked round', async () => {
    const host = await joined()
    host.say(0, { kind: 'seated', plan: host.plan, seat: 0, endsAt: DEADLINES[1], ticket: 't', roster: null })
    await refuses(host, 'roster-missing')
  })

  test('that names an advert a second time is refused, and proves the lie to anybody', async () => {
    const host = await joined()
    const [roster, second] = [await host.roster(), await host.roster({ attempt: 2 })]
    host.sit(0, roster)
    await host.dealt(0)
    host.sit(0, second)
    await refuses(host, 'equivocation')
    const [proof] = await proofs(host)
    expect(proof).toMatchObject({ by: coordinator.id, lie: 'advert-in-two-rosters' })
    expect(proof && isProven(proof)).toBe(true)
  })
})

describe('a list of those who shared', () => {
  const lies: readonly [
    string,
    string,
    (host: Host, roster: Said<'Roster'>) => Promise<readonly [Said<'Shared'>, (readonly Block[])?]>,
  ][] = [
    ['without this node', 'own-keys-missing', async (host, roster) => [await host.shared(roster, [1, 2, 3, 4])]],
    ['of too few', 'too-few-members', async (host, roster) => [await host.shared(roster, [0, 1])]],
    [
      'with a box that its dealer did not sign',
      'box-not-as-signed',
      async (host, roster) => {
        const { boxes, maskCts } = host.parcels[1] as NonNullable<(typeof host.parcels)[number]>
        host.parcels[1] = {
          boxes: boxes.map((box) => ({ ...box, box: box.box.with(20, 1 ^ (box.box[20] as number)) })),
          maskCts,
        }
        return [await host.shared(roster)]
      },
    ],
    [
      'with a box kept back',
      'box-missing',
      async (host, roster) => {
        host.parcels[1] = { boxes: [], maskCts: [] }
        return [await host.shared(roster)]
      },
    ],
    [
      'by somebody else',
      'not-the-coordinator',
      async (host, roster) => {
        const shared = say(stranger, 'Shared', (await host.shared(roster)).body)
        await host.keep(shared)
        return [shared]
      },
    ],
    [
      'with boxes that are none',
      'malformed',
      async (host, roster) => [await host.shared(roster), [block(new Uint8Array([1, 2]))]],
    ],
  ]
  test.each(lies)('%s is refused, and nothing is masked for it (%s)', async (_, refusal, lie) => {
    const host = new Host(5)
    const { roster } = await dealt(host)
    const [shared, parts] = await lie(host, roster)
    host.share(0, shared, parts)
    host.mask(0, shared)
    await refuses(host, refusal)
  })

  test('of version 2 with somebody more is refused', async () => {
    const host = new Host(5)
    const { roster } = await dealt(host)
    const first = await host.shared(roster, [0, 1, 2, 3])
    host.share(0, first)
    await host.hear(0, 'agree')
    host.mask(0, await host.shared(roster, [0, 1, 2, 4], 2))
    await refuses(host, 'not-a-subset')
  })

  test('that is another one after masking gets no second masked input, and nothing else', async () => {
    const host = new Host(5)
    const { roster } = await submitted(host)
    host.mask(0, await host.shared(roster, [0, 1, 2, 3], 2))
    await refuses(host, 'already-masked')
  })

  test('said twice in one version proves the lie', async () => {
    const host = new Host(5)
    const { roster } = await agreed(host)
    host.mask(0, await host.shared(roster, [0, 1, 2, 3]))
    await refuses(host, 'equivocation')
    expect((await proofs(host)).map((proof) => [proof.lie, isProven(proof)])).toEqual([['two-Shared', true]])
  })
})

describe('a dealer that promised other shares than it boxed', () => {
  /** Seat 4 signs other promises to seat 0 than it keeps. */
  async function lied(host: Host) {
    const { roster } = await dealt(host)
    const honest = host.keys[4] as Said<'ShareKeys'>
    const to = honest.body.to.map((one) => (one.v === 1 ? { ...one, hR: seed(9) } : one))
    const keys = say(host.node(4).signer, 'ShareKeys', { ...honest.body, to })
    await host.keep(keys)
    host.keys[4] = keys
    return { roster, shared: await host.shared(roster), keys }
  }

  test('is complained of, as often as it is asked, in the same words', async () => {
    const host = new Host(5)
    const { shared, keys } = await lied(host)
    host.share(0, shared)
    host.share(0, shared)
    const [first, second] = [await host.hear(0, 'object'), await host.hear(0, 'object')]
    expect(second.message.complaints).toEqual(first.message.complaints)
    const complaint = await host.attached(first, 'Complaint', first.message.complaints[0] as never)
    expect(complaint.body).toMatchObject({ u: 1, v: 5, cid: keys.cid, code: 'share-hash' })
    host.share(1, shared)
    await host.hear(1, 'agree')
  })

  test('is left behind by the one who complained, under version 2', async () => {
    const host = new Host(5)
    const { roster, shared } = await lied(host)
    host.share(0, shared)
    await host.hear(0, 'object')
    const second = await host.shared(roster, [0, 1, 2, 3], 2)
    host.mask(0, second)
    expect((await host.submitted(0)).body.u2Hash).toEqual(second.hash)
  })

  test('is not masked with, also where the coordinator says that it is final', async () => {
    const host = new Host(5)
    const { shared } = await lied(host)
    host.share(0, shared)
    await host.hear(0, 'object')
    host.mask(0, shared)
    await refuses(host, 'keys-in-dispute')
  })
})

describe('a list of survivors', () => {
  test('without this node’s input is not confirmed by it', async () => {
    const host = new Host(5)
    const { sharing } = await submitted(host)
    host.survey(0, await host.survivors(sharing, [1, 2, 3, 4]))
    await refuses(host, 'own-input-missing')
  })

  test('of too few is not confirmed', async () => {
    const host = new Host(5)
    const { sharing } = await submitted(host)
    host.survey(0, await host.survivors(sharing, [0, 1]))
    await refuses(host, 'too-few-members')
  })

  test('of fewer than the plan promised is not confirmed, though a quorum of members could certify it', async () => {
    const host = new Host(5, { quorum: 5 })
    const { sharing } = await submitted(host)
    host.survey(0, await host.survivors(sharing, [0, 1, 2, 3]))
    await refuses(host, 'cohort-too-small')
  })

  test('that is a second one gets no second signature, and proves the lie', async () => {
    const host = new Host(5)
    const { sharing } = await confirmed(host)
    host.survey(0, await host.survivors(sharing, [0, 1, 2, 3]))
    await refuses(host, 'equivocation')
    expect((await proofs(host)).map((proof) => [proof.lie, isProven(proof)])).toEqual([['two-Survivors', true]])
  })

  test('said before this node has masked is passed over', async () => {
    const host = new Host(5)
    const { roster, shared } = await agreed(host)
    for (const seat of [1, 2, 3, 4]) host.mask(seat, shared)
    for (const seat of [1, 2, 3, 4]) await host.submitted(seat)
    host.survey(0, await host.survivors(host.sharing(roster, shared), [1, 2, 3, 4]))
    expect(await kindsLeft(host, 0)).toEqual([])
  })
})

describe('a certificate', () => {
  /** Of the set without seat 4, which all but seat 0 have confirmed; seat 0 was shown the set of all. */
  async function twofold(host: Host) {
    const { sharing } = await submitted(host)
    const [all, some] = [await host.survivors(sharing), await host.survivors(sharing, [0, 1, 2, 3])]
    host.survey(0, all)
    await host.confirmed(0)
    const survival = host.survival(sharing, some)
    const confirms = [0, 1, 2, 3].map((seat) =>
      say(host.node(seat).signer, 'Confirm', { sid: sharing.session.sid, u: seat + 1, u3Hash: some.hash }),
    )
    return { all, some, certificate: must(certificateOf(survival, confirms)) }
  }

  test('for another set than this node confirmed opens nothing', async () => {
    const host = new Host(5)
    const { all, certificate } = await twofold(host)
    host.certify(0, all, await host.state('QuorumCert', certificate))
    await refuses(host, 'another-set')
  })

  test('with the other set beside it opens nothing, and proves the lie', async () => {
    const host = new Host(5)
    const { some, certificate } = await twofold(host)
    host.certify(0, some, await host.state('QuorumCert', certificate))
    await refuses(host, 'equivocation')
    expect((await proofs(host)).map((proof) => [proof.lie, isProven(proof)])).toEqual([['two-Survivors', true]])
  })

  test.each([
    ['one signature short', 'too-few-signatures', (sigs: Body<'QuorumCert'>['sigs']) => sigs.slice(1)],
    [
      'a forged one among them',
      'bad-signature',
      (sigs: Body<'QuorumCert'>['sigs']) => [...sigs.slice(0, 3), { u: 4, sig: new Uint8Array(64).fill(1) }],
    ],
  ] as const)('with %s opens nothing', async (_, refusal, lie) => {
    const host = new Host(4)
    const { survivors, certificate } = await confirmed(host)
    const { body } = certificate
    const sigs = lie(body.sigs.slice(0, refusal === 'too-few-signatures' ? 3 : 4))
    host.certify(0, survivors, await host.state('QuorumCert', { ...body, sigs }))
    await refuses(host, refusal)
  })

  test('before anything was masked opens nothing and changes nothing', async () => {
    const [host, other] = [new Host(4), new Host(4)]
    const { shared } = await agreed(host)
    const { survivors, certificate } = await confirmed(other)
    for (const said of [survivors, certificate]) await host.keep(said)
    host.certify(0, survivors, certificate)
    expect(await kindsLeft(host, 0)).toEqual([])
    host.mask(0, shared)
    await host.submitted(0)
  })
})
