import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { isInside, openWebhookTransport } from '#coordinator/transports/webhooks.ts'
import { webhookSignature } from '#coordinator/webhook-signature.ts'
import { verifySignature } from '#sdk/webhook-signature.ts'
import { comesTrue } from '#test/eventually.ts'
import { live } from './live.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

test('a message is signed as the specification of Standard Webhooks shows', () => {
  expect(webhookSignature(SECRET, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}')).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
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
    // What comes in between two pages is on neither, and repeats none of them.
    const paged = (await call('GET', `/${id}/deliveries?limit=3`)).json
    await call('POST', `/${id}/test`)
    const older = (await call('GET', `/${id}/deliveries?limit=100&after=${paged.next}`)).json
    expect(older).toMatchObject({ has_more: false, next: null })
    expect([paged.data.length, older.data.length]).toEqual([3, 5])
    const whole = (await call('GET', `/${id}/deliveries?limit=100`)).json.data
    expect(whole.slice(1)).toEqual([...paged.data, ...older.data])
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
