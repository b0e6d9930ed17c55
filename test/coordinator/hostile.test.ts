import { describe, expect, test } from '@jest/globals'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { quantise, quantiserFor } from '#aggregation/quantise.ts'
import { encodeLanes, lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { frameOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { type CoordinatorMessage, say, sign } from '#protocol/messages.ts'
import { importFile } from '#protocol/unixfs.ts'
import { type Live, live, RawNode, signer } from './live.ts'

type Seated = Extract<CoordinatorMessage, { kind: 'seated' }>
type Invited = Extract<CoordinatorMessage, { kind: 'invite' }>
const PARAMETERS = 3

async function nodes(at: Live, count: number): Promise<RawNode[]> {
  const made = Array.from(
    { length: count },
    (_, index) => new RawNode(at.coordinator.url, at.coordinator.id, `hostile ${index}`),
  )
  for (const node of made) expect(await node.link()).toBe('linked')
  return made
}

/** Launches a run of two and brings it to the reporting phase. */
async function seated(at: Live, members: readonly RawNode[], change = {}): Promise<readonly Seated[]> {
  const created = await at.launch(change)
  expect(created.status).toBe(201)
  await Promise.all(members.map(join))
  return Promise.all(members.map((node) => node.hear('seated')))
}

async function join(node: RawNode): Promise<Invited> {
  const invite = await node.hear('invite')
  node.raw(say(node.signer, { kind: 'join', ...node.said(), run: invite.run, round: invite.round, advert: null }))
  return invite
}

function vector(change: (lanes: Uint32Array) => void = () => undefined): Bytes {
  const quantiser = quantiserFor({ clipNormMicro: 10_000_000, rowsMax: 1000, cohortMax: 3 })
  const update = { delta: new Float32Array([1, 2, 3]), weight: 10, evaluation: { rows: 5, correct: 2, lossSumNats: 1 } }
  const lanes = quantise(update, quantiser, () => 1, NO_SCORES)
  if (!lanes.ok) throw new Error(lanes.refusal)
  change(lanes.value)
  return encodeLanes(lanes.value)
}

async function upload(at: Live, bytes: Bytes, ticket: string): Promise<{ cid: Cid; status: number }> {
  const cid = await importFile(once(bytes), async () => undefined)
  const headers = { authorization: `Bearer ${ticket}` }
  const answer = await fetch(`${at.coordinator.url}/ipfs/${cid}`, {
    method: 'PUT',
    body: new Uint8Array(bytes),
    headers,
  })
  return { cid, status: answer.status }
}

async function modelOf(at: Live, run: RunId): Promise<Cid> {
  return ((await (await at.api(`/v1/runs/${run}`)).json()) as { model: Cid }).model
}

async function reportOf(at: Live, node: RawNode, seat: Seated, vectorCid: Cid, change = {}) {
  const { run, round, plan } = seat
  return {
    ...{
      kind: 'report' as const,
      ...node.said(),
      run,
      round,
      seat: seat.seat,
      plan,
      model: await modelOf(at, run),
      vector: vectorCid,
    },
    ...{ sizeBytes: vectorBytesOf(PARAMETERS), lanes: lanesOf(PARAMETERS), trainMillis: 1 },
    ...change,
  }
}

async function honest(at: Live, node: RawNode, seat: Seated): Promise<void> {
  const { cid, status } = await upload(at, vector(), seat.ticket)
  expect([200, 201]).toContain(status)
  node.raw(say(node.signer, await reportOf(at, node, seat, cid)))
}

async function ended(at: Live, run: RunId): Promise<string> {
  const answer = await at.api(`/v1/runs/${run}/events`, { headers: { accept: 'text/event-stream' } })
  const text = await answer.text()
  return text.trim().split('\n').at(-2)?.slice('event: '.length) ?? ''
}

describe('the node link', () => {
  test('opens only for an admitted key that answers this very challenge, to this very coordinator', async () => {
    const friend = signer('friend').id
    await using at = await live({ admits: new Map([[friend, null]]) })
    const { url, id } = at.coordinator
    const dial = (name: string) => new RawNode(url, id, name)
    await using accepted = dial('friend')
    expect(await accepted.link()).toBe('linked')
    await using stranger = dial('stranger')
    expect(await stranger.link()).toBe('not-admitted')
    const answers: Record<string, (node: RawNode, nonce: Bytes) => Bytes> = {
      replayed: (node) => say(node.signer, { kind: 'hello', to: id, seq: 1, nonce: new Uint8Array(32), version: 1 }),
      'wrong-coordinator': (node, nonce) => say(node.signer, { kind: 'hello', to: friend, seq: 1, nonce, version: 1 }),
      'hello-first': (node) =>
        say(node.signer, {
          kind: 'join',
          to: id,
          seq: 1,
          run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId,
          round: 1,
          advert: null,
        }),
      malformed: () => new Uint8Array([1, 2, 3]),
      'bad-signature': (node, nonce) => {
        const signed = sign(node.signer, { kind: 'hello', to: id, seq: 1, nonce, version: 1 })
        return frameOf({ ...signed, signature: new Uint8Array(64).fill(1) })
      },
    }
    for (const [refusal, hello] of Object.entries(answers)) {
      await using node = dial('friend')
      expect(await node.link((nonce) => hello(node, nonce))).toBe(refusal)
      expect(await at.counted('links_refused', refusal)).toBe(1)
    }
  })

  test('tells who runs a node by the list alone: one operator’s second node has no seat beside its first', async () => {
    const ids = ['hostile 0', 'hostile 1', 'hostile 2'].map((name) => signer(name).id)
    await using at = await live({ admits: new Map(ids.map((id, place) => [id, place < 2 ? 'alba' : null])) })
    const members = await nodes(at, 3)
    const launched = await at.launch({ timing: { selectionMillis: 60_000 } })
    const { id } = (await launched.json()) as { id: string }
    await Promise.all(members.map(join))
    const [first, second, other] = members as [RawNode, RawNode, RawNode]
    await other.hear('seated')
    const ends = [first, second].map((node) => node.hear('seated', 'ended'))
    expect((await Promise.all(ends)).map(({ kind }) => kind).sort()).toEqual(['ended', 'seated'])
    const log = (await (await at.api(`/v1/runs/${id}/events`)).json()) as { data: readonly Record<string, unknown>[] }
    const operators = log.data.flatMap(({ type, node, operator }) => (type === 'node.joined' ? [[node, operator]] : []))
    expect(new Map(operators as [string, unknown][])).toEqual(
      new Map(ids.map((node, at) => [node, at < 2 ? 'alba' : null])),
    )
    await Promise.all(members.map((node) => node[Symbol.asyncDispose]()))
  })

  test("a node's newer link replaces its older one", async () => {
    await using at = await live()
    await using older = new RawNode(at.coordinator.url, at.coordinator.id, 'twin')
    expect(await older.link()).toBe('linked')
    await using newer = new RawNode(at.coordinator.url, at.coordinator.id, 'twin')
    expect(await newer.link()).toBe('linked')
    expect(await (await at.api('/v1/nodes')).json()).toMatchObject({ data: [{ id: newer.signer.id }] })
  })
})

describe('a hostile member of the cohort', () => {
  test('is refused by name whatever it says, and the round goes on', async () => {
    await using at = await live()
    const members = await nodes(at, 2)
    const [bad, good] = members as [RawNode, RawNode]
    const [mine, yours] = (await seated(at, members)) as [Seated, Seated]
    const { run, round } = mine
    const { cid } = await upload(at, vector(), mine.ticket)

    const notHere = cidOf(RAW, new Uint8Array(9))
    const report = (change: object) => reportOf(at, bad, mine, cid, change)
    const frames: readonly [string, unknown][] = [
      ['malformed', new Uint8Array([0xa1, 0x61])],
      ['malformed', 'not even bytes'],
      ['too-large', new Uint8Array(70_000)],
      ['malformed', say(bad.signer, await report({})).subarray(0, 100)],
      ['bad-signature', frameOf({ ...sign(bad.signer, await report({})), signature: new Uint8Array(64).fill(1) })],
      ['foreign-signature', say(good.signer, await report({}))],
      ['unknown-kind', frameOf(bad.signer.sign('pay-me', new Uint8Array([0xa0])))],
      ['wrong-shape', frameOf(bad.signer.sign('report', new Uint8Array([0xa0])))],
      ['wrong-coordinator', say(bad.signer, await report({ to: bad.signer.id }))],
      ['future-round', say(bad.signer, await report({ round: round + 1 }))],
      ['no-round', say(bad.signer, await report({ run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId }))],
      ['wrong-seat', say(bad.signer, await report({ seat: yours.seat }))],
      ['wrong-plan', say(bad.signer, await report({ plan: cid }))],
      ['wrong-model', say(bad.signer, await report({ model: cid }))],
      ['wrong-shape', say(bad.signer, await report({ lanes: 12, sizeBytes: 48 }))],
      ['wrong-phase', say(bad.signer, { kind: 'join', ...bad.said(), run, round, advert: null })],
      ['wrong-block', say(bad.signer, await report({}), [{ cid, bytes: new Uint8Array(8) }])],
      ['no-such-blob', say(bad.signer, await report({ vector: notHere }), [{ cid, bytes: vector() }])],
      ['no-such-blob', say(bad.signer, await report({ vector: (await upload(at, new Uint8Array(8), 'x')).cid }))],
    ]
    const expected = new Map<string, number>()
    for (const [refusal, frame] of frames) {
      expected.set(refusal, (expected.get(refusal) ?? 0) + 1)
      bad.raw(frame)
    }
    await honest(at, good, yours)
    const last = say(bad.signer, await report({}))
    bad.raw(last)
    expect(await good.hear('receipt')).toMatchObject({ run, round })
    for (const [refusal, times] of expected)
      expect({ refusal, times: await at.counted('frames_refused', refusal) }).toEqual({ refusal, times })
    expect(await at.counted('frames_accepted', 'report')).toBe(2)
    const stop = { method: 'POST', body: '{"reason":"enough"}', headers: { 'content-type': 'application/json' } }
    expect((await at.api(`/v1/runs/${run}/stop`, stop)).ok).toBe(true)
    expect(await ended(at, run)).toBe('run.stopped')
    bad.raw(last)
    await bad.hear('ended')
    await Promise.all(members.map((node) => node[Symbol.asyncDispose]()))
  })

  test.each([
    ['bad-header', (lanes: Uint32Array) => lanes.fill(2, 1, 2)],
    ['bad-header', (lanes: Uint32Array) => lanes.fill(1001, 0, 1)],
    ['out-of-range', (lanes: Uint32Array) => lanes.fill(2 ** 24, 8, 9)],
    ['bad-check-lanes', (lanes: Uint32Array) => lanes.fill(1, -1)],
    ['bad-evaluation', (lanes: Uint32Array) => lanes.fill(6, 12, 13)],
  ])('cannot spoil the sum with a vector that is not one (%s)', async (refusal, spoil) => {
    await using at = await live()
    const members = await nodes(at, 2)
    const [bad, good] = members as [RawNode, RawNode]
    const [mine, yours] = (await seated(at, members)) as [Seated, Seated]
    const { cid, status } = await upload(at, vector(spoil), mine.ticket)
    expect(status).toBe(201)
    bad.raw(say(bad.signer, await reportOf(at, bad, mine, cid)))
    expect(await bad.hear('refused')).toMatchObject({ of: 'report', refusal })
    await honest(at, bad, mine)
    await honest(at, good, yours)
    expect(await bad.hear('receipt')).toMatchObject({ run: mine.run, round: 1 })
    await Promise.all(members.map((node) => node[Symbol.asyncDispose]()))
  })

  test('leaves nothing behind with a vector that came along and is refused; a sound one is kept and counts', async () => {
    await using at = await live()
    const members = await nodes(at, 2)
    const [bad, good] = members as [RawNode, RawNode]
    const [mine, yours] = (await seated(at, members)) as [Seated, Seated]
    const here = async (cid: Cid) => (await fetch(`${at.coordinator.url}/ipfs/${cid}`)).status
    const along = (bytes: Bytes) => ({ cid: cidOf(RAW, bytes), bytes })
    const spoiled = along(vector((lanes) => lanes.fill(2 ** 24, 8, 9)))
    const [short, unnamed] = [along(new Uint8Array(12)), along(new Uint8Array(vectorBytesOf(PARAMETERS)))]
    for (const [refusal, block] of [
      ['out-of-range', spoiled],
      ['wrong-length', short],
    ] as const) {
      bad.raw(say(bad.signer, await reportOf(at, bad, mine, block.cid), [block]))
      expect(await bad.hear('refused')).toMatchObject({ of: 'report', refusal })
      expect(await here(block.cid)).toBe(404)
    }
    const sound = along(vector())
    bad.raw(say(bad.signer, await reportOf(at, bad, mine, sound.cid), [unnamed, sound]))
    good.raw(say(good.signer, await reportOf(at, good, yours, sound.cid), [sound]))
    expect(await bad.hear('receipt')).toMatchObject({ run: mine.run, round: 1, node: bad.signer.id, amount: 50n })
    expect([await here(sound.cid), await here(unnamed.cid)]).toEqual([200, 404])
    await Promise.all(members.map((node) => node[Symbol.asyncDispose]()))
  })

  test('a replayed, a repeated and a late report change nothing', async () => {
    await using at = await live()
    const members = await nodes(at, 2)
    const [bad, good] = members as [RawNode, RawNode]
    const [mine, yours] = (await seated(at, members, { rounds: 2 })) as [Seated, Seated]
    const { cid } = await upload(at, vector(), mine.ticket)
    const first = say(bad.signer, await reportOf(at, bad, mine, cid))
    bad.raw(first)
    bad.raw(first)
    expect(await bad.hear('refused')).toMatchObject({ refusal: 'replayed' })
    bad.raw(say(bad.signer, await reportOf(at, bad, mine, cid)))
    expect(await bad.hear('refused')).toMatchObject({ refusal: 'already-reported' })
    await honest(at, good, yours)
    await bad.hear('receipt')
    await Promise.all(members.map((node) => node.hear('invite')))
    bad.raw(say(bad.signer, await reportOf(at, bad, mine, cid)))
    expect(await bad.hear('refused')).toMatchObject({ refusal: 'past-round' })
    await Promise.all(members.map((node) => node[Symbol.asyncDispose]()))
  })

  test("uploads nothing without its own seat's ticket", async () => {
    await using at = await live()
    const members = await nodes(at, 2)
    const [mine, yours] = (await seated(at, members)) as [Seated, Seated]
    const [body, mac] = mine.ticket.split('.') as [string, string]
    const [otherBody] = yours.ticket.split('.') as [string]
    for (const ticket of ['', 'nonsense', `${otherBody}.${mac}`, `${body}.${mac.slice(0, -2)}AA`])
      expect([401, 403]).toContain((await upload(at, vector(), ticket)).status)
    expect((await upload(at, new Uint8Array(vectorBytesOf(PARAMETERS) + 1), mine.ticket)).status).toBe(413)
    expect((await upload(at, vector(), mine.ticket)).status).toBe(201)
    await Promise.all(members.map((node) => node[Symbol.asyncDispose]()))
  })
})
