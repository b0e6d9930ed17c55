import type { IncomingMessage, ServerResponse } from 'node:http'
import { loopback } from './loopback.ts'

/** What a service does otherwise than the specification says. */
export type Quirk =
  /** A search by name finds everything: 4EVERLAND. */
  | 'names-find-all'
  /** A CID that is added again has the id that it had. */
  | 'one-id-a-cid'
  /** It says `pinned` at once and keeps nothing: the request is gone when it is asked for. */
  | 'drops'
  /** A status of its own making. */
  | 'odd-status'
  | 'wrong-cid'
  | 'wrong-id'
  /** 21 of them. */
  | 'many-delegates'
  /** None, not even the list. */
  | 'no-delegates'
  | 'endless'
  | 'silent'
  | 'redirects'
  | 'no-json'
  | 'fails'
  | 'busy'
  | 'unauthorised'
  | 'unpaid'
  /** Says that there are always more, and repeats the last page. */
  | 'pages-stand-still'

type Stored = { readonly requestid: string; readonly pin: { readonly cid: string }; readonly at: number; asked: number }

export type PinningDouble = AsyncDisposable & {
  readonly url: string
  readonly token: string
  /** What it was asked, and who was named to authorise it. */
  readonly asked: { readonly method: string; readonly url: string; readonly authorization: string | undefined }[]
  readonly stored: Map<string, Stored>
  quirks: ReadonlySet<Quirk>
  /** How often a request is asked for before it is pinned. */
  patience: number
}

/** A pinning service that is as the real ones are, or as bad as one can be: its blocks are anybody's guess. */
export async function pinningDouble(...quirks: readonly Quirk[]): Promise<PinningDouble> {
  const token = 'token-of-the-double'
  const stored = new Map<string, Stored>()
  let made = 0
  const server = await loopback((request, response) => void serve(request, response))
  const double: PinningDouble = Object.assign(server, {
    ...{ token, stored, asked: [], quirks: new Set(quirks), patience: 0 },
  })

  const has = (quirk: Quirk) => double.quirks.has(quirk)
  const viewOf = (entry: Stored) => {
    const open = entry.asked++ < double.patience ? 'queued' : 'pinned'
    const delegates = Array.from(
      { length: has('many-delegates') ? 21 : 1 },
      (_, at) => `/ip4/127.0.0.1/tcp/${4001 + at}`,
    )
    return {
      requestid: has('wrong-id') ? `${entry.requestid}-other` : entry.requestid,
      status: has('odd-status') ? 'warming up' : open,
      created: new Date(entry.at).toISOString(),
      pin: has('wrong-cid') ? { cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' } : entry.pin,
      ...(!has('no-delegates') && { delegates }),
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    double.asked.push({ method, url, authorization: headers.authorization })
    const answer = (status: number, body?: unknown, more: Record<string, string> = {}) =>
      void response
        .writeHead(status, { 'content-type': 'application/json', ...more })
        .end(body === undefined ? undefined : JSON.stringify(body))
    const fail = (status: number, reason: string, more: Record<string, string> = {}) =>
      answer(status, { error: { reason, details: 'as it \u001b[31mlikes' } }, more)
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    if (has('silent')) return
    if (has('endless')) return endless(response)
    if (has('redirects')) return void response.writeHead(307, { location: `${server.url}/elsewhere${url}` }).end()
    if (has('no-json')) return void response.writeHead(200).end('<html>a captive portal</html>')
    if (has('fails')) return fail(500, 'INTERNAL_SERVER_ERROR')
    if (has('busy')) return fail(429, 'TOO_MANY_REQUESTS', { 'retry-after': '120' })
    if (has('unauthorised') || headers.authorization !== `Bearer ${token}`) return fail(401, 'UNAUTHORIZED')
    const { pathname, searchParams } = new URL(url, server.url)
    const id = decodeURIComponent(pathname.split('/')[2] ?? '')
    if (!pathname.startsWith('/pins')) return fail(404, 'NOT_FOUND')
    if (method === 'DELETE') return stored.delete(id) ? answer(202) : fail(404, 'NOT_FOUND')
    if (method === 'POST') {
      if (has('unpaid')) return fail(409, 'INSUFFICIENT_FUNDS')
      return answer(202, viewOf(add(JSON.parse(Buffer.concat(pieces).toString()))))
    }
    if (id !== '') {
      const entry = stored.get(id)
      return entry ? answer(200, viewOf(entry)) : fail(404, 'NOT_FOUND')
    }
    answer(200, list(searchParams))
  }

  function add(pin: { readonly cid: string }): Stored {
    const known = [...stored.values()].find((entry) => entry.pin.cid === pin.cid)
    if (known && has('one-id-a-cid')) return known
    const entry = { requestid: `${++made}`, pin, at: 1_700_000_000_000 + made, asked: 0 }
    if (!has('drops')) stored.set(entry.requestid, entry)
    return entry
  }

  function list(query: URLSearchParams) {
    const cids = query.get('cid')?.split(',')
    const name = has('names-find-all') ? null : query.get('name')
    const before = has('pages-stand-still') ? Number.POSITIVE_INFINITY : Date.parse(query.get('before') ?? '9999-01-01')
    const found = [...stored.values()]
      .filter(({ pin, at }) => (!cids || cids.includes(pin.cid)) && at < before)
      .filter(({ pin }) => name === null || (pin as { name?: string }).name === name)
      .toReversed()
    const count = has('pages-stand-still') ? 1_000_000 : found.length
    return { count, results: found.slice(0, Number(query.get('limit') ?? 10)).map(viewOf) }
  }
  return double
}

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  const piece = Buffer.alloc(65_536, ' ')
  const more = () => {
    while (!response.destroyed) if (!response.write(piece)) return void response.once('drain', more)
  }
  more()
}
