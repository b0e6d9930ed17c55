import { hmacSha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'

const PREFIX = 'whsec_'

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
