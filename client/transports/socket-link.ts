import { assert } from '#protocol/assert.ts'
import { ownOf } from '#protocol/bytes.ts'
import { isBytes } from '#protocol/codec.ts'
import { open, type Signer } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import { Inbox } from '#protocol/inbox.ts'
import { FRAME_BYTES_MAX, UNHEARD_BYTES_MAX, UNHEARD_FRAMES_MAX } from '#protocol/limits.ts'
import { readCoordinatorMessage, say } from '#protocol/messages.ts'
import type { ClientTransport } from '#protocol/ports.ts'
import type { Sequence } from '../sequence.ts'
import { type Dial, HUNG_UP, type Line } from './line.ts'

type LinkEvent = { readonly kind: 'linked' } | { readonly kind: 'frame'; readonly frame: Bytes }

export type LinkTo = {
  /** `http(s)://host:port` of the coordinator: of each of its processes, any of which will do. */
  readonly urls: readonly string[]
  /** Its key, pinned: a challenge that another key signed is not answered. */
  readonly coordinator: NodeId
  readonly dial: Dial
  readonly signer: Signer
  readonly sequence: Sequence
  /** What happens to the link, for the operator to see. */
  readonly report: (state: 'linked' | 'lost' | 'refused' | 'wrong-coordinator' | 'unreachable', detail: string) => void
}

/** The first pause between two attempts, and the longest; each pause is spread, so that a cohort does not come at once. */
const PAUSE_MILLIS: Millis = 200
const PAUSE_MILLIS_MAX: Millis = 10_000
/** Turned away on purpose (a newer link of ours, a coordinator that drains): not to be asked again at once. */
const REFUSED_MILLIS: Millis = 1000
/** From dialling to a link: a process that is reached and says nothing is given up for the next. */
const DIAL_MILLIS: Millis = 20_000

/**
 * The node's side of the link: outbound WebSocket, coming back for ever with growing pauses, to the next of the
 * coordinator's processes where one is lost. What is sent while the link is down is dropped: when it is back the
 * coordinator says where things stand, and the node answers to that. So it may also hang up on a coordinator that says more
 * than it can listen to, and come back when it has heard what there is.
 */
export class SocketLink implements ClientTransport {
  readonly #to: LinkTo
  readonly #inbox = new Inbox<LinkEvent>({ events: UNHEARD_FRAMES_MAX, bytes: UNHEARD_BYTES_MAX })
  #line: Line
  #linked = false
  #isChallenged = false
  #at = 0
  /** Attempts since the last link. */
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #late: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(to: LinkTo) {
    assert(to.urls.length > 0, 'a link has somewhere to go')
    this.#to = to
    this.#line = this.#dial()
  }

  /** Of the process that it is linked to, or tries. */
  get url(): string {
    return this.#to.urls[this.#at % this.#to.urls.length] as string
  }

  async send(frame: Bytes): Promise<void> {
    if (this.#linked) this.#line.send(frame)
  }

  events(signal: AbortSignal): AsyncIterable<LinkEvent> {
    return this.#inbox.events(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#late)
    this.#line.close()
  }

  #dial(): Line {
    const { dial, report } = this.#to
    const line = dial(this.url, {
      frame: (frame) => this.#hear(line, frame),
      linked: () => {
        if (line !== this.#line || this.#linked || !this.#isChallenged) return
        clearTimeout(this.#late)
        this.#linked = true
        this.#failures = 0
        report('linked', this.url)
        this.#inbox.push({ kind: 'linked' })
      },
      refused: (reason) => report('refused', String(reason).slice(0, 64)),
      lost: (reason) => this.#lose(line, reason),
      unreachable: (reason) => {
        report('unreachable', reason)
        this.#lose(line, reason)
      },
    })
    this.#late = setTimeout(() => this.#lose(line, 'nothing came'), DIAL_MILLIS)
    return line
  }

  /** On to the next process, each socket once. */
  #lose(line: Line, reason: string): void {
    if (line !== this.#line || this.#closed || this.#timer) return
    if (this.#linked) this.#to.report('lost', reason)
    this.#linked = false
    this.#isChallenged = false
    clearTimeout(this.#late)
    this.#at++
    const grown = Math.min(PAUSE_MILLIS_MAX, PAUSE_MILLIS * 2 ** Math.min(this.#failures++, 10))
    const pause = reason === HUNG_UP ? Math.max(grown, REFUSED_MILLIS) : grown
    this.#comeBack(pause * (0.5 + Math.random()))
    line.close()
  }

  /** When there is room for what will be said. */
  #comeBack(pause: Millis): void {
    this.#timer = setTimeout(() => {
      if (this.#inbox.isCrowded) return this.#comeBack(pause)
      this.#timer = undefined
      this.#line = this.#dial()
    }, pause)
  }

  #hear(line: Line, frame: unknown): void {
    const bytes = frame instanceof ArrayBuffer ? new Uint8Array(frame) : frame
    if (line !== this.#line || !isBytes(bytes) || bytes.length > FRAME_BYTES_MAX) return
    if (!this.#linked) return this.#answer(line, bytes)
    if (!this.#inbox.push({ kind: 'frame', frame: ownOf(bytes) })) this.#lose(line, 'more than can be heard')
  }

  /** Once a connection. */
  #answer(line: Line, frame: Bytes): void {
    if (this.#isChallenged) return
    const { coordinator, report, signer, sequence } = this.#to
    const signed = open(frame, FRAME_BYTES_MAX)
    if (!signed.ok || signed.value.from !== coordinator) {
      report('wrong-coordinator', signed.ok ? signed.value.from : signed.refusal)
      return this.#lose(line, 'another coordinator')
    }
    const message = readCoordinatorMessage(signed.value)
    if (!message.ok || message.value.kind !== 'challenge') return
    this.#isChallenged = true
    const { nonce } = message.value
    line.send(say(signer, { kind: 'hello', to: coordinator, seq: sequence.next(), nonce, version: 1 }))
  }
}
