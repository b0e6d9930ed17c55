import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'

/**
 * Bounds for what others do with the global `fetch`: kubo-rpc-client follows redirects and reads answers of any length into
 * memory, and offers no way to say otherwise. Node tells of every request how it goes on, so one that was begun inside of
 * {@link withinBounds} is stopped from here, before more of it is kept.
 */
export async function withinBounds<T>(
  { limitBytes, lineBytesMax = limitBytes, signal }: Bounds,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const call: Call = { limitBytes, lineBytesMax, bytes: 0, lineBytes: 0, isSeen: false, stop }
  try {
    const result = await calls.run(call, () => act(AbortSignal.any([signal, stop.signal])))
    stop.signal.throwIfAborted()
    if (!call.isSeen) throw new Error('this Node.js does not tell how requests go on, so no answer can be bounded')
    return result
  } catch (cause) {
    // Whoever read it may have made an error of its own of that.
    stop.signal.throwIfAborted()
    signal.throwIfAborted()
    throw cause
  }
}

/** The answer was longer than anything that can be meant. */
export class AnswerTooLong extends Error {
  override name = 'AnswerTooLong'
}

export type Bounds = {
  readonly limitBytes: number
  /** Of an answer that is read line by line: the client looks through an unfinished line again at each piece. */
  readonly lineBytesMax?: number
  readonly signal: AbortSignal
}

type Call = {
  readonly limitBytes: number
  readonly lineBytesMax: number
  bytes: number
  lineBytes: number
  isSeen: boolean
  readonly stop: AbortController
}

const NEWLINE = 10

const calls = new AsyncLocalStorage<Call>()
const requests = new WeakMap<object, Call>()

subscribe('undici:request:create', (message) => {
  const { request } = message as { request: object }
  const call = calls.getStore()
  if (call) requests.set(request, call)
})

subscribe('undici:request:headers', (message) => {
  const { request, response } = message as { request: object; response: { statusCode: number; headers: Uint8Array[] } }
  const call = requests.get(request)
  if (!call) return
  call.isSeen = true
  if (response.statusCode >= 300 && response.statusCode < 400)
    call.stop.abort(new Error(`the answer is a redirect (${response.statusCode}), and none is followed`))
  // A few bytes of it may be a billion when they are unpacked.
  if (response.headers.some((text, index) => index % 2 === 0 && isEncoding(text)))
    call.stop.abort(new Error('the answer is compressed, which was not asked for'))
})

subscribe('undici:request:bodyChunkReceived', (message) => {
  const { request, chunk } = message as { request: object; chunk: Uint8Array }
  const call = requests.get(request)
  if (!call) return
  call.bytes += chunk.length
  const ended = chunk.lastIndexOf(NEWLINE)
  call.lineBytes = ended < 0 ? call.lineBytes + chunk.length : chunk.length - 1 - ended
  if (call.lineBytes > call.lineBytesMax)
    call.stop.abort(new AnswerTooLong(`a line of more than ${call.lineBytesMax} bytes`))
  if (call.bytes > call.limitBytes)
    call.stop.abort(new AnswerTooLong(`an answer of more than ${call.limitBytes} bytes`))
})

function isEncoding(header: Uint8Array): boolean {
  return new TextDecoder().decode(header).toLowerCase() === 'content-encoding'
}
