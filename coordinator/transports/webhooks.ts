import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Agent } from 'undici'
import type { Post } from '../notifier.ts'

/**
 * Addresses that lead to no public host: private, local, shared, documentation, multicast, reserved (RFC 6890, RFC 4291), and
 * those that stand for an IPv4 address, which may be one of these.
 */
const INSIDE = new BlockList()
for (const [address, bits] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
  ] as const),
  ...([
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ] as const),
  ...([
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
])
  INSIDE.addSubnet(address, bits, 'ipv4')
for (const [address, bits] of [
  ...([
    ['::', 96],
    ['::ffff:0:0:0', 96],
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
    ['100::', 64],
  ] as const),
  ...([
    ['2001::', 23],
    ['2001:db8::', 32],
    ['2002::', 16],
    ['3fff::', 20],
    ['5f00::', 16],
  ] as const),
  ...([
    ['fc00::', 7],
    ['fe80::', 10],
    ['fec0::', 10],
    ['ff00::', 8],
  ] as const),
])
  INSIDE.addSubnet(address, bits, 'ipv6')

export function isInside(address: string): boolean {
  // A block list of IPv4 knows its addresses written as IPv6, too.
  return INSIDE.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

export type WebhookTransport = AsyncDisposable & {
  readonly post: Post
  /** Whether an endpoint may be there at all, before any name is looked up; the reason where it may not. */
  readonly mistakeIn: (url: string) => string | undefined
}

/**
 * Posts to whoever an owner of a key has named, so to no host that only this machine reaches: HTTPS to public addresses, as
 * the name resolves at that moment, and besides them to those hosts that the operator has listed.
 *
 * @param listed `host:port`, for hosts inside: over HTTP too
 */
export function openWebhookTransport(listed: ReadonlySet<string>): WebhookTransport {
  const outside = new Agent({ connect: { lookup: onlyOutside }, maxHeaderSize: 16_384 })
  const anywhere = new Agent({ maxHeaderSize: 16_384 })
  const isListed = (url: URL) => listed.has(`${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`)
  const mistakeIn = (text: string): string | undefined => {
    const url = new URL(text)
    if (url.username || url.password) return 'must hold no password'
    if (isListed(url)) return undefined
    if (url.protocol !== 'https:') return 'must be https, or a host that the operator has listed (--webhook-host)'
    const literal = url.hostname.replace(/^\[|\]$/g, '')
    if (isIP(literal) && isInside(literal)) return 'must be a public address, or one that the operator has listed'
    return undefined
  }
  return {
    mistakeIn,
    async post(text, headers, body, signal) {
      const mistake = mistakeIn(text)
      if (mistake) throw new Error(`the address ${mistake}`)
      const url = new URL(text)
      const dispatcher = isListed(url) ? anywhere : outside
      const { origin, pathname, search } = url
      const answer = await dispatcher.request({
        origin,
        path: pathname + search,
        method: 'POST',
        headers,
        body,
        signal,
      })
      // Whatever it says besides is not waited for.
      answer.body.on('error', () => undefined).destroy()
      return answer.statusCode
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([outside.destroy(), anywhere.destroy()])
    },
  }
}

/** Looked up once, and connected to what was looked at: a name that changes in between leads nowhere. */
const onlyOutside: LookupFunction = (host, options, answer) =>
  lookup(host, { ...options, all: true }, (cause, addresses) => {
    if (cause) return answer(cause, [])
    const public_ = addresses.filter(({ address }) => !isInside(address))
    const [first] = public_
    if (!first) return answer(new Error(`${host} is no public host`), [])
    if (options.all) return answer(null, public_)
    answer(null, first.address, first.family)
  })
