import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { Notifier, type Post } from '#coordinator/notifier.ts'
import type { Run } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { Advanced } from '#coordinator/runner.ts'
import { isInside, openWebhookTransport } from '#coordinator/transports/webhooks.ts'
import { webhookSecretOf, webhookSignature } from '#coordinator/webhook-signature.ts'
import { versionsAt, Webhooks } from '#coordinator/webhooks.ts'
import { verifySignature } from '#sdk/webhook-signature.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { comesTrue } from '#test/eventually.ts'
import { cid, happens, RUN, specOf } from './fixture.ts'
import { accepted } from './histories.ts'
import { live } from './live.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

test('a message is signed as the specification of Standard Webhooks shows', () => {
  expect(webhookSignature(SECRET, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}')).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

/** Ten events of one run, a second apart. */
function history(): readonly Advanced[] {
  const events: RunEvent[] = [
    { kind: 'created', at: 1000, spec: specOf() },
    { kind: 'held', at: 2000 },
    { kind: 'opened', at: 3000, round: 1, plan: cid('plan'), invited: 3 },
    ...[0, 1, 2].map((index) => ({ ...happens.join(index), at: 3010 + index, round: 1 }) as RunEvent),
    { kind: 'stopped', at: 3500, reason: 'enough' },
  ]
  let run: Run | undefined
  return events.map((event, position) => {
    const before = run
    run = accepted(run, event)
    return { before, after: run, event, position }
  })
}

type Sent = {
  readonly url: string
  readonly id: string
  readonly type: string
  readonly attempt: string
  readonly signed: readonly number[]
}

/** A process over a log, which may be one of several, or the next one after its death. */
/** Every change makes another secret, and each is known by its number. */
const secretOf = (_endpoint: string, version: number) => webhookSecretOf(new Uint8Array(24).fill(version))

function signersOf(headers: Readonly<Record<string, string>>, body: string): readonly number[] {
  const [id = '', time] = [headers['webhook-id'], Number(headers['webhook-timestamp'])]
  const of = (signature: string) => (version: number) =>
    webhookSignature(secretOf('', version), id, time, body) === signature
  return (headers['webhook-signature'] ?? '').split(' ').map((one) => [0, 1, 2, 3, 4, 5].findIndex(of(one)))
}

function process(
  log = openMemoryLog(),
  clock = virtualClock(10_000),
  answer: (url: string) => number | Promise<number> = () => 204,
) {
  const sent: Sent[] = []
  const all = history()
  const post: Post = async (url, headers, body) => {
    const { type } = JSON.parse(body) as { readonly type: string }
    const signed = signersOf(headers, body)
    sent.push({ url, id: headers['webhook-id'] ?? '', type, attempt: headers['webhook-timestamp'] ?? '', signed })
    const status = await answer(url)
    if (status === 0) throw new Error('nobody listens')
    return status
  }
  let endpoints = 0
  const webhooks = new Webhooks({ log, clock, newEndpointId: () => `we_${endpoints++}` })
  const shown = { events: all.length }
  const notifier = new Notifier({
    ...{ webhooks, clock, post, secretOf, count: () => undefined },
    payloadOf: async () => ({ parameters: 1, scores: { lanes: 0 } }) as never,
    runner: {
      runs: () => [(all[shown.events - 1] as Advanced).after],
      position: () => shown.events,
      async *follow(_run, from) {
        yield* all.slice(from, shown.events)
      },
    },
  })
  const turn = () => notifier.turn(new AbortController().signal)
  return { log, clock, webhooks, notifier, sent, turn, shown }
}

const body = (url: string, events = ['*']) => ({ url, events, description: '', federation: null })
const seqs = (sent: readonly Sent[]) => sent.map(({ id }) => Number(id.split('_')[2]))

describe('a secret that is changed', () => {
  const DAY = 86_400_000
  const rotating = async (...overlaps: readonly number[]) => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/'), null)
    for (const overlap of overlaps) await at.webhooks.rotate('we_0', overlap, null)
    return at
  }
  const signersAfter = async (at: Awaited<ReturnType<typeof rotating>>, millis: number) => {
    await at.clock.advance(millis)
    const endpoint = await at.webhooks.get('we_0')
    if (endpoint) await at.notifier.test(endpoint, 'msg_test', new AbortController().signal)
    return at.sent.at(-1)?.signed
  }

  test('signs beside the old one for as long as was said, and alone from then on; the next process knows', async () => {
    const at = await rotating(DAY)
    expect(await signersAfter(at, 0)).toEqual([1, 0])
    expect(await signersAfter(at, DAY)).toEqual([1, 0])
    expect(await signersAfter(at, 2)).toEqual([1])
    const next = process(at.log, at.clock)
    expect(await signersAfter(next, 0)).toEqual([1])
  })

  test('is alone at once where it leaked, also of the ones before; a shorter overlap shortens theirs, and no longer one', async () => {
    expect(await signersAfter(await rotating(DAY, 0), 0)).toEqual([2])
    const at = await rotating(DAY, 1000)
    expect(await signersAfter(at, 0)).toEqual([2, 1, 0])
    expect(await signersAfter(at, 2000)).toEqual([2])
    const longer = await rotating(1000, DAY)
    expect(await signersAfter(longer, 2000)).toEqual([2, 1])
  })

  test('is changed once for one request, as it was seen, and not for a fifth signature', async () => {
    const at = await rotating()
    const once = { key: new Uint8Array(32).fill(1), body: new Uint8Array(32) }
    const first = await at.webhooks.rotate('we_0', DAY, once)
    expect(await at.webhooks.rotate('we_0', DAY, once, () => false)).toEqual({
      ok: true,
      value: { ...(first.ok && first.value), isReplayed: true },
    })
    const refusal = async (...args: Parameters<typeof at.webhooks.rotate>) => {
      const rotated = await at.webhooks.rotate(...args)
      return rotated.ok ? versionsAt(rotated.value.endpoint, at.clock.now()).length : rotated.refusal
    }
    expect(await refusal('we_0', 1, { ...once, body: new Uint8Array(32).fill(1) })).toBe('key-reused')
    expect(await refusal('we_0', 1, null, () => false)).toBe('stale')
    expect(await refusal('we_9', 1, null)).toBe('no-endpoint')
    expect([await refusal('we_0', DAY, null), await refusal('we_0', DAY, null)]).toEqual([3, 4])
    expect(await refusal('we_0', DAY, null)).toBe('too-many-secrets')
    expect(await refusal('we_0', 0, null)).toBe(1)
    expect((await process(at.log, at.clock).webhooks.get('we_0'))?.secrets).toEqual([{ version: 4, until: null }])
  })

  test('is signed with at once, also by who was telling events already', async () => {
    const at = await rotating()
    await at.turn()
    at.sent.length = 0
    const telling = process(at.log, at.clock, async () => {
      if (telling.sent.length === 1) await at.webhooks.rotate('we_0', 0, null)
      return 204
    })
    await at.webhooks.add(body('https://two.example/'), null)
    await telling.turn()
    const all = telling.sent.filter(({ url }) => url.includes('one'))
    expect(all.map(({ signed }) => signed)).toEqual(all.map((_, index) => (index === 0 ? [0] : [1])))
  })
})

describe('an endpoint', () => {
  test('is told each event once, in order, and those of before it not at all; also by the next process', async () => {
    const first = process(openMemoryLog(), virtualClock(2500))
    await first.webhooks.add(body('https://one.example/'), null)
    first.shown.events = 4
    await first.turn()
    await first.turn()
    expect(seqs(first.sent)).toEqual([2, 3])
    const second = process(first.log, first.clock)
    await second.turn()
    await second.turn()
    expect(seqs(second.sent)).toEqual([4, 5, 6])
    expect(second.sent[0]?.id).toBe(`msg_${RUN.slice(4)}_4`)
  })

  test('is told only of what it asked for', async () => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/', ['node.joined', 'run.*']), null)
    await at.turn()
    expect(at.sent.map(({ type }) => type)).toEqual([
      ...['run.created', 'run.funded', 'node.joined', 'node.joined', 'node.joined', 'run.stopping'],
    ])
  })

  test('that fails is told the same again, later and later, and holds up no other; after a day it is given up', async () => {
    let status = 500
    const at = process(openMemoryLog(), virtualClock(0), (url) => (url.includes('bad') ? status : 200))
    for (const host of ['bad', 'good']) await at.webhooks.add(body(`https://${host}.example/`), null)
    const bad = () => at.sent.filter(({ url }) => url.includes('bad'))
    await at.turn()
    expect(seqs(bad())).toEqual([0])
    expect(seqs(at.sent.filter(({ url }) => url.includes('good')))).toEqual([0, 1, 2, 3, 4, 5, 6])
    for (let minute = 0; minute < 24 * 60 + 61 && seqs(bad()).every((seq) => seq === 0); minute++) {
      await at.clock.advance(60_000)
      await at.turn()
    }
    // Some thirty times in a day, and then the next.
    expect(bad().length).toBeGreaterThan(25)
    expect(bad().length).toBeLessThan(45)
    expect(seqs(bad()).at(-1)).toBe(1)
    expect((await at.webhooks.get('we_0'))?.gaveUp).toMatchObject({ run: RUN, position: 0, reason: 'it answered 500' })
    expect(at.notifier.deliveries('we_0')[0]).toMatchObject({ outcome: 'failed', status: 500 })
    status = 200
    await at.clock.advance(3_600_000)
    await at.turn()
    expect(seqs(bad()).slice(-6)).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('that answers slowly holds up no other, and is told each event once all the same', async () => {
    const answers: (() => void)[] = []
    const slowly = () => new Promise<number>((settle) => answers.push(() => settle(204)))
    const at = process(openMemoryLog(), virtualClock(0), (url) => (url.includes('slow') ? slowly() : 204))
    for (const host of ['slow', 'good']) await at.webhooks.add(body(`https://${host}.example/`), null)
    const toldTo = (host: string) => seqs(at.sent.filter(({ url }) => url.includes(host)))
    const look = async () => {
      const turn = at.turn()
      await at.clock.advance(1000)
      await turn
    }
    at.shown.events = 4
    await look()
    expect([toldTo('slow'), toldTo('good')]).toEqual([[0], [0, 1, 2, 3]])
    at.shown.events = 7
    await look()
    expect([toldTo('slow'), toldTo('good')]).toEqual([[0], [0, 1, 2, 3, 4, 5, 6]])
    for (let turn = 0; turn < 20; turn++) {
      for (const answer of answers.splice(0)) answer()
      await look()
    }
    expect(toldTo('slow')).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('that is gone leaves nothing behind', async () => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/'), null)
    await at.turn()
    expect(at.notifier.deliveries('we_0')).not.toEqual([])
    await at.webhooks.remove('we_0')
    await at.turn()
    expect(at.notifier.deliveries('we_0')).toEqual([])
  })

  test('that is switched off is told nothing, and afterwards what it missed; one that is gone nothing more', async () => {
    const at = process(openMemoryLog(), virtualClock(0))
    await at.webhooks.add(body('https://one.example/'), null)
    await at.webhooks.change('we_0', { enabled: false })
    await at.turn()
    expect(at.sent).toEqual([])
    await at.webhooks.change('we_0', { enabled: true })
    await at.turn()
    expect(seqs(at.sent)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(await at.webhooks.remove('we_0')).toBe(true)
    await at.turn()
    expect(at.sent).toHaveLength(7)
  })
})

describe('where messages may go', () => {
  test('no address inside counts as public, however it is written', () => {
    const v4 = fc.oneof(
      fc.tuple(fc.constantFrom(0, 10, 127), fc.nat(255), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(192), fc.constant(168), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)),
    )
    fc.assert(
      fc.property(v4, (parts) => {
        const address = parts.join('.')
        const within = ['', '::ffff:', '::ffff:0:', '::', '64:ff9b::'].map((prefix) => `${prefix}${address}`)
        expect(within.filter((one) => !isInside(one))).toEqual([])
      }),
    )
    const inside = ['::1', '::', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'fd00::1', '64:ff9b::7f00:1', '2002:7f00:1::']
    expect([...inside, '2001::1', '2001:20::1', '3fff::1', '5f00::1'].map(isInside)).not.toContain(false)
    expect(['1.1.1.1', '8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'].map(isInside)).not.toContain(true)
  })

  test('a name that leads inside is connected to nowhere, and a listed host is', async () => {
    await using transport = openWebhookTransport(new Set(['127.0.0.1:9']))
    const send = (url: string) => transport.post(url, {}, '', new AbortController().signal)
    await expect(send('https://localhost/')).rejects.toThrow('localhost is no public host')
    await expect(send('http://127.0.0.1:10/')).rejects.toThrow('must be https')
    await expect(send('https://[::1]/')).rejects.toThrow('must be a public address')
    await expect(send('https://2130706433/')).rejects.toThrow('must be a public address')
    await expect(send('https://user:word@example.org/')).rejects.toThrow('must hold no password')
    await expect(send('http://127.0.0.1:9/')).rejects.toThrow(/ECONNREFUSED/)
  })
})

test('over the API: made, signed, in order, changed, tried, sent again and gone', async () => {
  const got: { readonly headers: Record<string, unknown>; readonly body: string; readonly path: string }[] = []
  const receiver = createServer((request, response) => {
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString()))
    request.on('end', () => {
      got.push({ headers: request.headers, body, path: request.url ?? '' })
      if (request.url === '/elsewhere') response.writeHead(307, { location: '/here' })
      response.end('thanks')
    })
  })
  await new Promise<void>((settle) => receiver.listen(0, '127.0.0.1', settle))
  const host = `127.0.0.1:${(receiver.address() as AddressInfo).port}`
  try {
    await using at = await live({ webhookHosts: new Set([host]) })
    const call = async (method: string, path: string, sent?: object, headers = {}) => {
      const type = sent ? { 'content-type': 'application/json' } : {}
      const answer = await at.api(`/v1/webhook-endpoints${path}`, {
        ...{ method, headers: { ...type, ...headers } },
        ...(sent && { body: JSON.stringify(sent) }),
      })
      const text = await answer.text()
      return { status: answer.status, etag: answer.headers.get('etag') ?? '', json: text ? JSON.parse(text) : null }
    }
    for (const url of ['http://127.0.0.1:1/', 'https://10.0.0.1/', 'https://[::1]/', 'ftp://example.org/'])
      expect((await call('POST', '', { url })).status).toBeGreaterThanOrEqual(400)
    const order = [{ url: `http://${host}/here`, events: ['run.*', 'round.*'] }, { 'idempotency-key': 'one' }] as const
    const made = await call('POST', '', ...order)
    // The same request makes no second one, and gets the same secret.
    expect((await call('POST', '', ...order)).json).toEqual(made.json)
    expect((await call('POST', '', { url: `http://${host}/there` }, order[1])).status).toBe(422)
    expect(made).toMatchObject({
      status: 201,
      json: { enabled: true, secret: expect.stringMatching(/^whsec_\S{44}$/) },
    })
    const { id, secret } = made.json as { readonly id: string; readonly secret: string }
    expect((await call('GET', `/${id}`)).json.secret).toBeUndefined()

    const { id: run } = (await (await at.launch({ timing: { selectionMillis: 20 } })).json()) as { readonly id: string }
    const typeOf = ({ body }: { readonly body: string }) => (JSON.parse(body) as { readonly type: string }).type
    await comesTrue(async () => got.some((one) => typeOf(one) === 'run.failed'))
    expect(got.map(typeOf)).toEqual([
      ...['run.created', 'run.funded', 'round.opened', 'round.aborted', 'round.recorded', 'run.failed'],
    ])
    for (const { headers, body } of got) {
      const [message, time] = [String(headers['webhook-id']), Number(headers['webhook-timestamp'])]
      expect(headers['webhook-signature']).toBe(webhookSignature(secret, message, time, body))
      const { data } = JSON.parse(body) as { readonly data: { readonly run: string; readonly seq: number } }
      expect(message).toBe(`msg_${run.slice(4)}_${data.seq}`)
    }

    const changed = await call('PATCH', `/${id}`, { url: `http://${host}/elsewhere` }, { 'if-match': made.etag })
    expect(changed.status).toBe(200)
    expect((await call('PATCH', `/${id}`, { enabled: false }, { 'if-match': made.etag })).status).toBe(412)
    // A redirect is no answer, and is not followed.
    expect((await call('POST', `/${id}/test`)).json).toMatchObject({ outcome: 'failed', status: 307 })
    expect(got.at(-1)).toMatchObject({ path: '/elsewhere' })
    await call('PATCH', `/${id}`, { url: `http://${host}/here` })
    const [, latest] = (await call('GET', `/${id}/deliveries`)).json.data as { readonly id: string }[]
    expect((await call('POST', `/${id}/deliveries/${latest?.id}/redeliver`)).json).toMatchObject({
      outcome: 'delivered',
    })
    expect((await call('POST', `/${id}/deliveries/msg_${run.slice(4)}_999/redeliver`)).status).toBe(404)
    const standing = await call('GET', `/${id}`)
    const rotate = (overlapSeconds: number, headers = {}) =>
      call('POST', `/${id}/rotate-secret`, { overlapSeconds }, headers)
    const rotated = await rotate(60, { 'if-match': standing.etag, 'idempotency-key': 'two' })
    expect(rotated).toMatchObject({ status: 200, json: { id, secret: expect.stringMatching(/^whsec_\S{44}$/) } })
    expect(rotated.json.secret).not.toBe(secret)
    expect(Date.parse(rotated.json.old_secret_until) - Date.parse(rotated.json.updated_at)).toBe(60_000)
    // A repeat is answered the same, though it is another one now than was seen.
    expect((await rotate(60, { 'if-match': standing.etag, 'idempotency-key': 'two' })).json).toEqual(rotated.json)
    expect((await rotate(61, { 'idempotency-key': 'two' })).status).toBe(422)
    expect((await rotate(60, { 'if-match': standing.etag })).status).toBe(412)
    for (const overlap of [-1, 604_801, 0.5]) expect((await rotate(overlap)).status).toBe(400)
    await call('POST', `/${id}/test`)
    const { headers: told, body: text } = got.at(-1) ?? { headers: {}, body: '' }
    for (const known of [rotated.json.secret, secret])
      expect(await verifySignature({ secret: known, headers: told as Record<string, string>, body: text })).toBe(true)
    expect((await rotate(0)).json.old_secret_until).toBeNull()
    await call('POST', `/${id}/test`)
    expect(got.at(-1)?.headers['webhook-signature']).toMatch(/^v1,\S{44}$/)
    expect((await call('DELETE', `/${id}`)).status).toBe(204)
    expect((await rotate(0)).status).toBe(404)
    expect((await call('GET', `/${id}`)).status).toBe(404)
  } finally {
    receiver.close()
    receiver.closeAllConnections()
  }
})
