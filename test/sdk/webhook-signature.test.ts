import { createHmac } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { verifySignature } from '#sdk/webhook-signature.ts'

const secret = `whsec_${Buffer.from('a secret of some bytes').toString('base64')}`
const body = '{"type":"run.completed"}'
const now = 1_700_000_000_000

function delivery({ at = now / 1000, version = 'v1', signed = body } = {}) {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', key).update(`msg_1.${at}.${signed}`).digest('base64')
  return {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(at),
    'webhook-signature': `v1a,abc ${version},${signature}`,
  }
}

test('a delivery that was signed with the secret is good, however its headers come', async () => {
  expect(await verifySignature({ secret, body, now, headers: delivery() })).toBe(true)
  expect(await verifySignature({ secret, body, now, headers: new Headers(delivery()) })).toBe(true)
})

test.each([
  ['another body', { headers: delivery({ signed: '{}' }) }],
  ['another version', { headers: delivery({ version: 'v2' }) }],
  ['a time long ago', { headers: delivery({ at: now / 1000 - 301 }) }],
  ['a time to come', { headers: delivery({ at: now / 1000 + 301 }) }],
  ['another secret', { headers: delivery(), secret: 'whsec_AAAA' }],
  ['no secret', { headers: delivery(), secret: 'whsec_' }],
  ['a secret that is no base64', { headers: delivery(), secret: '%' }],
  ['no headers', { headers: {} }],
])('a delivery with %s is not', async (_what, change) => {
  expect(await verifySignature({ secret, body, now, ...change })).toBe(false)
})

test('the example of the specification is good', async () => {
  // Standard Webhooks, "Verifying signatures".
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  }
  const example = { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', body: '{"test": 2432232314}' }
  expect(await verifySignature({ ...example, headers, now: 1_614_265_330_000 })).toBe(true)
})
