import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Bytes, Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import type { Pace } from './pace.ts'

/** A request that is for the gateway. */
export type Asked = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly clock: Clock
}

/** What the gateway says no with, and the status it says it with. Codes are stable names, RFC 9457 `type` is made of them. */
const PROBLEMS = {
  'bad-cid': [400, 'Bad CID'],
  'bad-format': [400, 'Unknown format'],
  'bad-scope': [400, 'Unknown scope'],
  'bad-range': [400, 'Range outside the file'],
  'not-uploadable': [400, 'Only files are uploaded'],
  'no-ticket': [401, 'Ticket needed'],
  'bad-ticket': [401, 'Bad ticket'],
  'expired-ticket': [401, 'Expired ticket'],
  'spent-ticket': [403, 'Spent ticket'],
  'not-found': [404, 'Not found'],
  'no-paths': [404, 'Not found'],
  'method-not-allowed': [405, 'Method not allowed'],
  'not-acceptable': [406, 'Not acceptable'],
  'too-slow': [408, 'Too slow'],
  'unknown-upload': [409, 'Unknown upload'],
  'only-if-cached': [412, 'Not here'],
  'too-large': [413, 'Too large'],
  'encoded-body': [415, 'Encoded body'],
  'not-a-block': [415, 'A block is sent'],
  'unsatisfiable-range': [416, 'Range outside the file'],
  'wrong-content': [422, 'Wrong content'],
  'busy-ticket': [429, 'Uploads are running'],
  fault: [500, 'Storage fault'],
  damaged: [500, 'Damaged block'],
  busy: [503, 'Busy'],
  'storage-full': [507, 'Storage full'],
} as const

export type ProblemCode = keyof typeof PROBLEMS
type Problem = { readonly code: ProblemCode; readonly detail: string | undefined }

export function problemOf(code: ProblemCode, detail?: string): Problem {
  return { code, detail }
}

/** Says no. @returns the code, for the count */
export async function answerProblem(asked: Asked, { code, detail }: Problem): Promise<string> {
  const { response } = asked
  const [status, title] = PROBLEMS[code]
  // What was said of the blob before it turned out otherwise.
  for (const name of response.getHeaderNames())
    if (OF_THE_BLOB.has(name) || (name === 'content-range' && status !== 416)) response.removeHeader(name)
  const problem = { type: `urn:consilium:problem:${code}`, title, status, detail, code }
  if (status === 401) response.setHeader('WWW-Authenticate', `Bearer error="invalid_token"`)
  if (status === 429 || status === 503 || status === 507) response.setHeader('Retry-After', '5')
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  await answerWhole(asked, status, 'application/problem+json', JSON.stringify(problem))
  return code
}

/**
 * Sends a small answer, whether or not the request's body was read. What is left of it is read for a while before the
 * connection closes: closing at once would reset it, and the client would lose the answer with its unsent bytes.
 */
export async function answerWhole(
  { request, response, clock }: Asked,
  status: number,
  contentType: string | undefined,
  text: string,
): Promise<void> {
  if (response.destroyed) return
  response.statusCode = status
  if (contentType !== undefined) response.setHeader('Content-Type', contentType)
  response.setHeader('Content-Length', Buffer.byteLength(text))
  const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers
  const unread = !request.complete && (length !== '0' || coding !== undefined)
  if (unread) response.setHeader('Connection', 'close')
  if (request.method === 'HEAD') response.flushHeaders()
  else if (text !== '') response.write(text)
  else response.flushHeaders()
  if (unread) await discard(request, clock)
  await new Promise<void>((resolve) => {
    response.once('close', resolve)
    response.end(resolve)
  })
}

/** Sends a body piece by piece; rejects when the other side goes away, or takes it too slowly. */
export async function answerStream({ response }: Asked, pieces: AsyncIterable<Bytes>, pace: Pace): Promise<void> {
  const steps = async function* () {
    for await (const piece of pieces)
      for (let at = 0; at < piece.length; at += STEP_BYTES) {
        const step = piece.subarray(at, at + STEP_BYTES)
        pace.wait()
        yield step
        pace.moved(step.length)
      }
    // What is left waits in the connection's buffer.
    pace.wait()
  }
  await pipeline(steps, response, { signal: pace.signal })
}

/** Reads what a client goes on sending after it was told no, within bounds. */
async function discard(request: IncomingMessage, clock: Clock): Promise<void> {
  const done = new AbortController()
  clock.wakeAt(clock.now() + LINGER_MILLIS, done.signal).then(
    () => request.destroy(),
    () => undefined,
  )
  try {
    let bytes = 0
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Bytes).length
      if (bytes > LINGER_BYTES) return
    }
  } catch {
    // It went away: that is as good.
  } finally {
    done.abort()
  }
}

const OF_THE_BLOB: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-disposition',
  'content-location',
  'etag',
  'x-ipfs-path',
  'x-ipfs-roots',
])

/** Small enough that a slow link moves one within the idle time. */
const STEP_BYTES = 65_536
const LINGER_BYTES = 4 * 1_048_576
const LINGER_MILLIS: Millis = 2000
