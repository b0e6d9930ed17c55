import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCid } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { type Asked, answerProblem, problemOf } from './answers.ts'
import { type Named, PROBE } from './downloads.ts'

/** Answers true when the request was for it; resolves once the response is over. Never rejects. */
export type Serve = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

/**
 * What lies under `/ipfs/` for a plain node:http server: the request's method and name are judged here, by what is offered,
 * and what the answer throws is told as a fault.
 */
export function serving(offer: Offer, { clock, count, report }: ServingDoors): Serve {
  return async (request, response) => {
    const [path = '', query = ''] = split(request.url ?? '', '?')
    if (!path.startsWith('/ipfs/')) return false
    const asked = { request, response, query: new URLSearchParams(query), clock }
    // The other side may go away at any time; whoever reads or writes hears of it, and nobody else need.
    response.on('error', () => undefined)
    let outcome: string
    try {
      // Read as it came, never normalised or decoded: what is not exactly a CID is refused.
      outcome = await answer(asked, path.slice('/ipfs/'.length))
    } catch (cause) {
      outcome = await fail(asked, cause)
    }
    count?.(outcome)
    return true
  }

  async function answer(asked: Asked, name: string): Promise<string> {
    const { method } = asked.request
    const reads = method === 'GET' || method === 'HEAD'
    const act = reads ? offer.read : method === 'PUT' ? offer.write : undefined
    if (!act) {
      asked.response.setHeader('Allow', offer.write ? 'GET, HEAD, PUT' : 'GET, HEAD')
      return answerProblem(asked, problemOf('method-not-allowed', `${method} is not offered here`))
    }
    const [text = '', rest] = split(name, '/')
    if (reads && text === PROBE) return offer.read(asked, PROBE)
    const cid = parseCid(text)
    if (!cid.ok) return answerProblem(asked, problemOf('bad-cid', cid.detail))
    if (rest !== undefined) return answerProblem(asked, problemOf('no-paths', 'blobs here are files, not folders'))
    return act(asked, cid.value)
  }

  async function fail(asked: Asked, cause: unknown): Promise<string> {
    if (asked.response.headersSent || asked.response.destroyed) {
      // Too late to say anything: a response that ends short tells the reader.
      asked.response.destroy()
      return 'broken-off'
    }
    report?.(cause)
    return answerProblem(asked, problemOf('fault', 'the store could not do it'))
  }
}

/** Each answers a request about a block and says how it ended. */
type Offer = {
  readonly read: (asked: Asked, cid: Named) => Promise<string>
  readonly write?: (asked: Asked, cid: Cid) => Promise<string>
}

export type ServingDoors = {
  readonly clock: Clock
  /** Hears how each request ended: `sent`, `difference-sent`, `not-modified`, `kept`, `already-here`, `part`, `broken-off`, or a problem's code. */
  readonly count?: (outcome: string) => void
  /** Hears of the world's faults behind a 500. */
  readonly report?: (cause: unknown) => void
}

function split(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
