/**
 * The header, from a secret as Kubo's own configuration writes it: `bearer:…` or `basic:user:password`. Throws on anything
 * else, without saying what it was.
 */
export function authorizationOf(secret: string): string {
  const [, kind, rest = ''] = /^(bearer|basic):([\x21-\x7e]{1,4096})$/.exec(secret.trim()) ?? []
  if (kind === 'bearer') return `Bearer ${rest}`
  if (kind === 'basic' && rest.includes(':')) return `Basic ${Buffer.from(rest).toString('base64')}`
  throw new Error("the key of a Kubo daemon is 'bearer:<token>' or 'basic:<user>:<password>'")
}
