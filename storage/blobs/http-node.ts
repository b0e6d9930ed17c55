import { Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'
import type { Bytes } from '#protocol/ids.ts'
import type { Bandwidth } from './bandwidth.ts'
import type { Answer, Fetch, Question } from './exchange.ts'

/**
 * `fetch` for Node, as much of it as a gateway's client needs, at half of the processor's time for a block: connections are
 * kept and bytes handed on as they came from the socket. Certificates are judged as everywhere in Node: NODE_EXTRA_CA_CERTS
 * names another authority. It undoes no encoding and follows no redirect.
 *
 * @param sending what all bodies together may take that way, and `receiving` the other
 */
export function openHttp({ sending, receiving }: BandwidthBothWays = {}): Http {
  const agent = new Agent({
    ...{ connections: CONNECTIONS_MAX, pipelining: 1, allowH2: false, maxHeaderSize: HEADER_BYTES_MAX },
    // How long an answer may take is the exchange's to say.
    ...{ headersTimeout: 0, bodyTimeout: 0 },
  })
  const fetch: Fetch = async (url, question) => {
    const reception = new Reception(question.signal, receiving)
    const { method = 'GET', headers = {}, body } = question
    agent.dispatch(
      {
        ...{ origin: url.origin, path: url.pathname + url.search, method },
        headers: { 'User-Agent': 'consilium', ...headers, ...(body && { 'Content-Length': String(body.length) }) },
        body: body ? bodyOf(body, question, sending) : null,
      },
      reception,
    )
    return reception.answer
  }
  return { fetch, [Symbol.asyncDispose]: () => agent.destroy() }
}

export type Http = AsyncDisposable & { readonly fetch: Fetch }
export type BandwidthBothWays = {
  readonly sending?: Bandwidth | undefined
  readonly receiving?: Bandwidth | undefined
}

/** Enough for what one node reads and sends at a time; more wait for one of them. */
const CONNECTIONS_MAX = 32
const HEADER_BYTES_MAX = 16_384
/** What is held of an answer whose reader does not keep up, or may not yet. */
const HELD_BYTES_MAX = 262_144
/** Small, so that those who share a slow line get their turn often. */
const STEP_BYTES = 16_384

function bodyOf(bytes: Bytes, { signal }: Question, sending?: Bandwidth): Buffer | Readable {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return sending ? Readable.from(steps(whole, sending, signal), { objectMode: false }) : whole
}

async function* steps(bytes: Buffer, sending: Bandwidth, signal: AbortSignal): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    const step = bytes.subarray(at, at + STEP_BYTES)
    await sending.pass(step.length, signal)
    yield step
  }
}

/** One answer as it comes in. */
class Reception implements Dispatcher.DispatchHandler {
  readonly answer: Promise<Answer>
  readonly #signal: AbortSignal
  readonly #receiving: Bandwidth | undefined
  readonly #head = Promise.withResolvers<Answer>()
  #controller: Dispatcher.DispatchController | undefined
  #pieces: Bytes[] = []
  #heldBytes = 0
  #end: 'coming' | 'whole' | { readonly cause: unknown } = 'coming'
  /** Whoever waits for the next piece, or the end. */
  #wake: (() => void) | undefined

  constructor(signal: AbortSignal, receiving: Bandwidth | undefined) {
    this.#signal = signal
    this.#receiving = receiving
    this.answer = this.#head.promise
    signal.addEventListener('abort', this.#abort)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#signal.aborted) this.#abort()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    statusText = '',
  ): void {
    // More is to come of this one.
    if (status < 200) return
    if (status >= 300 && status < 400) return controller.abort(new Error(`${status}: redirects lead nowhere`))
    const ok = status < 300
    const get = (name: string) => [headers[name.toLowerCase()] ?? []].flat().join(', ') || null
    this.#head.resolve({ ok, status, statusText, headers: { get }, body: { getReader: () => this.#reader } })
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#pieces.push(piece)
    this.#heldBytes += piece.length
    if (this.#heldBytes > HELD_BYTES_MAX) controller.pause()
    this.#wake?.()
  }

  onResponseEnd(): void {
    this.#over('whole')
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    this.#over({ cause: this.#signal.aborted ? this.#signal.reason : cause })
    this.#head.reject((this.#end as { readonly cause: unknown }).cause)
  }

  readonly #reader = {
    read: async () => {
      while (this.#pieces.length === 0) {
        if (typeof this.#end === 'object') throw this.#end.cause
        if (this.#end === 'whole') return { done: true, value: undefined } as const
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
      const value = this.#pieces.shift() as Bytes
      await this.#receiving?.pass(value.length, this.#signal)
      this.#heldBytes -= value.length
      if (this.#heldBytes <= HELD_BYTES_MAX) this.#controller?.resume()
      return { done: false, value } as const
    },
    cancel: async () => this.#controller?.abort(new Error('nobody reads on')),
  }

  readonly #abort = (): void => {
    this.#controller?.abort(this.#signal.reason as Error)
  }

  #over(end: 'whole' | { readonly cause: unknown }): void {
    this.#signal.removeEventListener('abort', this.#abort)
    this.#end = end
    this.#wake?.()
  }
}
