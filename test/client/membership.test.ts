import { describe, expect, test } from '@jest/globals'
import { SUITE_HYBRID } from '#aggregation/secagg/messages.ts'
import { HEADER_LANES, vectorBytesOf } from '#aggregation/vector.ts'
import { toyTrainer } from '#sim/toy.ts'
import { parameters } from './bench.ts'
import { Host } from './host.ts'
import { inputs, sumUploaded } from './large.ts'
import { agreed, confirmed, dealt, kindsLeft, quiet, submitted, told, unmasked } from './stages.ts'
import { plainSum, plainVector, unmaskedSum } from './vectors.ts'

describe('members of a masked round', () => {
  test.each([
    ['X25519', {}],
    ['X25519 and ML-KEM', { suite: SUITE_HYBRID }],
    ['only hashes published', { publish: 'commit-only' }],
  ] as const)('give the exact sum of their updates, and tell their operators step by step (%s)', async (_, secure) => {
    const host = new Host(4, secure)
    const { roster, shared, survivors, certificate } = await unmasked(host)
    expect(await unmaskedSum(host, roster, shared, survivors, certificate)).toEqual(await plainSum(host, host.seats))
    await quiet(host)
    const bytes = vectorBytesOf(parameters)
    for (const node of host.nodes)
      expect(node.progress).toMatchObject([
        { kind: 'joined' },
        { kind: 'seated' },
        { kind: 'agreed', members: 4 },
        { kind: 'masked', bytes },
        { kind: 'reported', bytes },
        { kind: 'confirmed', survivors: 4 },
        { kind: 'unmasked' },
      ])
  })

  test('weigh alike and give rates for counts, whatever rows a site has', async () => {
    const host = new Host(4)
    await dealt(host)
    for (const seat of host.seats) {
      const lanes = await plainVector(host, seat)
      expect([...lanes.subarray(0, 2)]).toEqual([1, 1])
      // The toy's site has 20 rows and one more for each seat, ten of them right.
      const correct = Math.round((10 / (20 + seat)) * 65_536)
      expect([...lanes.subarray(HEADER_LANES + parameters).subarray(0, 2)]).toEqual([65_536, correct])
    }
  })

  test('give no figures where the site withholds them', async () => {
    const host = new Host(4, { withholds: true })
    const { roster, shared, survivors, certificate } = await unmasked(host)
    const sum = await unmaskedSum(host, roster, shared, survivors, certificate)
    expect(sum.subarray(HEADER_LANES + parameters).every((lane) => lane === 0)).toBe(true)
    expect(sum[1]).toBe(4)
  })

  test('that only evaluate give figures and no delta', async () => {
    const host = new Host(4)
    await host.open(1, { purpose: 'evaluate' })
    await host.join()
    const roster = await host.roster()
    await host.deal(roster)
    const shared = await host.shared(roster)
    for (const seat of host.seats) {
      host.share(seat, shared)
      host.mask(seat, shared)
      await host.hear(seat, 'agree')
      expect((await host.submitted(seat)).body.bytes).toBe(vectorBytesOf(0))
    }
  })

  test('are summed without those who fell silent at any stage', async () => {
    const host = new Host(7)
    const { roster } = await dealt(host)
    const sharers = [0, 1, 2, 3, 4, 5]
    const shared = await host.shared(roster, sharers)
    for (const seat of sharers) {
      host.share(seat, shared)
      host.mask(seat, shared)
      await host.hear(seat, 'agree')
      await host.submitted(seat)
    }
    const sharing = host.sharing(roster, shared)
    const survivors = await host.survivors(sharing, [0, 1, 2, 4, 5])
    for (const seat of [0, 1, 2, 4, 5]) host.survey(seat, survivors)
    for (const seat of [0, 1, 2, 4, 5]) await host.confirmed(seat)
    const certificate = await host.certificate(sharing, survivors)
    for (const seat of [0, 1, 2, 4]) host.certify(seat, survivors, certificate)
    for (const seat of [0, 1, 2, 4]) await host.unmasked(seat)
    expect(await unmaskedSum(host, roster, shared, survivors, certificate)).toEqual(
      await plainSum(host, [0, 1, 2, 4, 5]),
    )
  })

  test('train while keys are shared, and mask when both are done', async () => {
    const gate = Promise.withResolvers<void>()
    const slow = (site: number): ReturnType<typeof toyTrainer> => {
      const toy = toyTrainer(site)
      return { ...toy, fit: (...args) => gate.promise.then(() => toy.fit(...args)) }
    }
    const host = new Host(4, { trainer: slow })
    const { shared } = await agreed(host)
    for (const seat of host.seats) host.mask(seat, shared)
    expect(await kindsLeft(host, 0)).toEqual([])
    gate.resolve()
    for (const seat of host.seats) await host.submitted(seat)
  })

  test('go on under version 2 of U2, without the one who is out; and it knows', async () => {
    const host = new Host(5)
    const { roster } = await agreed(host)
    const left = [0, 1, 2, 3]
    const second = await host.shared(roster, left, 2)
    for (const seat of host.seats) host.mask(seat, second)
    for (const seat of left) expect((await host.submitted(seat)).body.u2Hash).toEqual(second.hash)
    const sharing = host.sharing(roster, second)
    const survivors = await host.survivors(sharing, left)
    for (const seat of left) host.survey(seat, survivors)
    for (const seat of left) await host.confirmed(seat)
    const certificate = await host.certificate(sharing, survivors)
    for (const seat of left) host.certify(seat, survivors, certificate)
    for (const seat of left) await host.unmasked(seat)
    expect(await unmaskedSum(host, roster, second, survivors, certificate)).toEqual(await plainSum(host, left))
    expect(await host.hear(4, 'leave')).toMatchObject({ message: { reason: 'own-keys-missing' } })
  })

  test('that hear of version 2 first take it with the boxes of version 1', async () => {
    const host = new Host(5)
    const { roster } = await dealt(host)
    const second = await host.shared(roster, [0, 1, 2, 3], 2)
    host.share(0, second)
    host.mask(0, second)
    await host.hear(0, 'agree')
    expect((await host.submitted(0)).body.u2Hash).toEqual(second.hash)
  })
})

describe('a masked vector', () => {
  test('that no frame has room for is uploaded under the seat’s ticket, before it is named', async () => {
    await sumUploaded(20_000)
  })

  test.each([
    [15_200, 0],
    // A frame holds these 61,376 bytes alone, but not with the message that names them.
    [15_327, 1],
  ])('of %i parameters is attached only where it finds room beside its message', async (count, uploads) => {
    const host = new Host(4, { architecture: inputs(count) })
    await submitted(host)
    for (const node of host.nodes) expect(node.uploads).toHaveLength(uploads)
  })
})

describe('a member that is asked again', () => {
  test('says the same signed bytes, in a new frame', async () => {
    const host = new Host(4)
    const { survivors, certificate } = await confirmed(host)
    host.survey(0, survivors)
    expect((await host.hear(0, 'confirm')).message.confirm).toBe(host.confirms[0]?.cid)
    for (const _ of [1, 2]) host.certify(0, survivors, certificate)
    const unmask = await host.unmasked(0)
    expect((await host.unmasked(0)).cid).toBe(unmask.cid)
    expect(new Set(host.node(0).frames.map(String)).size).toBe(host.node(0).frames.length)
  })

  test('joins with the same advert', async () => {
    const host = new Host(4)
    await host.open()
    await host.join([0])
    const [advert] = host.adverts
    await host.join([0])
    expect(host.adverts[0]?.cid).toBe(advert?.cid)
  })

  test('deals, agrees and submits again only as long as nothing shows that it was heard', async () => {
    const host = new Host(4)
    const { roster } = await dealt(host)
    const [keys] = host.keys
    host.sit(0, roster)
    await host.dealt(0)
    expect(host.keys[0]?.cid).toBe(keys?.cid)
    const shared = await host.shared(roster)
    host.share(0, shared)
    host.share(0, shared)
    host.sit(0, roster)
    expect(await kindsLeft(host, 0)).toEqual(['agree', 'agree'])
    host.mask(0, shared)
    const input = await host.submitted(0)
    host.share(0, shared)
    host.mask(0, shared)
    expect((await host.submitted(0)).cid).toBe(input.cid)
    expect(await kindsLeft(host, 0)).toEqual([])
  })

  test('is not troubled by what comes too early, twice or in another order', async () => {
    const host = new Host(4)
    const { roster } = await dealt(host)
    const shared = await host.shared(roster)
    host.mask(0, shared)
    host.share(0, shared)
    host.share(0, shared)
    for (const seat of [1, 2, 3]) host.mask(seat, shared)
    for (const seat of [1, 2, 3]) host.share(seat, shared)
    for (const seat of host.seats) await host.submitted(seat)
    const sharing = host.sharing(roster, shared)
    const survivors = await host.survivors(sharing)
    for (const seat of [1, 2, 3]) host.survey(seat, survivors)
    for (const seat of [1, 2, 3]) await host.confirmed(seat)
    // Seat 0 hears of the certificate first: it confirms for itself alone, and gives its shares.
    const certificate = await host.certificate(sharing, survivors)
    host.certify(0, survivors, certificate)
    await host.unmasked(0)
    for (const seat of [1, 2, 3]) host.certify(seat, survivors, certificate)
    for (const seat of [1, 2, 3]) await host.unmasked(seat)
    expect(await unmaskedSum(host, roster, shared, survivors, certificate)).toEqual(await plainSum(host, host.seats))
    expect(host.nodes.flatMap((node) => told(node, 'failed'))).toEqual([])
  })

  test('waits for a part that was lost, and takes parts in any order', async () => {
    const host = new Host(4)
    const { roster } = await dealt(host)
    const shared = await host.shared(roster)
    const parts = host.parts(0, { each: 1 })
    expect(parts).toHaveLength(3)
    const say = (part: number, parcel = parts[part]?.cid ?? shared.cid) =>
      host.say(
        0,
        { kind: 'shared', shared: shared.cid, parcel, part, parts: parts.length },
        parts.slice(part, part + 1),
      )
    say(2)
    say(1)
    say(0, shared.cid)
    expect(await kindsLeft(host, 0)).toEqual([])
    expect(told(host.node(0), 'failed')).toEqual(['shared: part 0 of the boxes did not come along'])
    say(0)
    await host.hear(0, 'agree')
  })

  test('reads what came along with frames, and asks the store for none of it', async () => {
    const host = new Host(4)
    const { roster } = await dealt(host)
    const shared = await host.shared(roster)
    const said = [shared, ...host.keys]
    host.brief(0, said)
    for (const { cid } of said) await host.blobs.delete(cid)
    host.share(0, shared)
    await host.hear(0, 'agree')
  })

  test('waits for a message that nobody has, and goes on when it is there', async () => {
    const host = new Host(4)
    const { roster } = await dealt(host)
    const shared = await host.shared(roster)
    await host.blobs.delete(shared.cid)
    host.share(0, shared)
    expect(await kindsLeft(host, 0)).toEqual([])
    expect(told(host.node(0), 'failed')).toHaveLength(1)
    await host.keep(shared)
    host.share(0, shared)
    await host.hear(0, 'agree')
  })

  test('tells of a refusal, but not of one that a repeat earns', async () => {
    const host = new Host(4)
    const { shared } = await submitted(host)
    const refused = { kind: 'refused', of: 'submit', refusal: 'already-reported', detail: '' } as const
    host.say(0, refused)
    host.mask(0, shared)
    await host.submitted(0)
    host.say(0, refused)
    await quiet(host)
    expect(told(host.node(0), 'refused')).toEqual(['already-reported'])
  })

  test('tells nothing of a Confirm that came after the quorum: nobody waited for it', async () => {
    const host = new Host(4)
    await confirmed(host)
    host.say(0, { kind: 'refused', of: 'confirm', refusal: 'wrong-phase', detail: '' })
    host.say(0, { kind: 'refused', of: 'confirm', refusal: 'another-set', detail: '' })
    await quiet(host)
    expect(told(host.node(0), 'refused')).toEqual(['another-set'])
  })
})
