import { hmacSha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'

const PREFIX = 'whsec_'

/** An endpoint's secret, by how often it had been changed before. */
export type SecretOf = (endpoint: string, version: number) => string

/** What an endpoint is told, under the id that it goes by however often it is sent. */
export type WebhookMessage = {
  readonly id: string
  readonly type: string
  /** When it happened. */
  readonly at: Millis
  readonly data: object
}

/** An event is one message, and its id is its place: who is told twice can tell. */
export function messageIdOf(run: string, seq: number): string {
  return `msg_${run.slice('run_'.length)}_${seq}`
}

/** A message as it is posted, signed for the time at which it is, by each secret: whoever receives it knows one of them. */
export function signedRequest(
  secrets: readonly string[],
  { id, type, at, data }: WebhookMessage,
  now: Millis,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data })
  const timestamp = Math.floor(now / 1000)
  return {
    headers: {
      ...{ 'content-type': 'application/json', 'user-agent': 'consilium' },
      ...{ 'webhook-id': id, 'webhook-timestamp': String(timestamp) },
      'webhook-signature': secrets.map((secret) => webhookSignature(secret, id, timestamp, body)).join(' '),
    },
    body,
  }
}

/** A secret as it is shown and as its receiver keeps it. */
export function webhookSecretOf(key: Bytes): string {
  return PREFIX + Buffer.from(key).toString('base64')
}

/**
 * Standard Webhooks 1.0: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
 *
 * @param timestamp seconds since 1970
 */
export function webhookSignature(secret: string, id: string, timestamp: number, body: string): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  return `v1,${Buffer.from(hmacSha256(key, utf8(`${id}.${timestamp}.${body}`))).toString('base64')}`
}
