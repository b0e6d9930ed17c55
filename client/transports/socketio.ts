import { io, type Socket } from 'socket.io-client'
import { isBytes } from '#protocol/codec.ts'
import { open, type Signer } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { LINK_PATH, readCoordinatorMessage, say } from '#protocol/messages.ts'
import type { ClientTransport } from '#protocol/ports.ts'
import type { Sequence } from '../sequence.ts'

type LinkEvent = { readonly kind: 'linked' } | { readonly kind: 'frame'; readonly frame: Bytes }

export type LinkTo = {
  /** `http(s)://host:port` of the coordinator. */
  readonly url: string
  /** Its key, pinned: a challenge that another key signed is not answered. */
  readonly coordinator: NodeId
  readonly signer: Signer
  readonly sequence: Sequence
  /** What happens to the link, for the operator to see. */
  readonly report: (state: 'linked' | 'lost' | 'refused' | 'wrong-coordinator' | 'unreachable', detail: string) => void
}

/**
 * The node's side of the link: outbound WebSocket, reconnecting for ever with growing pauses. What is sent while the
 * link is down is dropped: when it is back the coordinator says where things stand, and the node answers to that.
 */
export class SocketLink implements ClientTransport {
  readonly #socket: Socket
  readonly #to: LinkTo
  readonly #mailbox = new Mailbox<LinkEvent>()
  #linked = false

  constructor(to: LinkTo) {
    this.#to = to
    this.#socket = io(to.url, {
      path: LINK_PATH,
      transports: ['websocket'],
      reconnectionDelay: 200,
      reconnectionDelayMax: 10_000,
      randomizationFactor: 0.5,
      forceNew: true,
    })
    this.#socket.on('frame', (frame: unknown) => this.#hear(frame))
    this.#socket.on('linked', () => {
      this.#linked = true
      to.report('linked', to.url)
      this.#mailbox.push({ kind: 'linked' })
    })
    this.#socket.on('refused', (reason: unknown) => to.report('refused', String(reason).slice(0, 64)))
    this.#socket.on('disconnect', (reason) => {
      if (this.#linked) to.report('lost', reason)
      this.#linked = false
      // The coordinator hung up on purpose (a newer link of ours, or a refusal): socket.io would not come back by itself.
      if (reason === 'io server disconnect') this.#comeBack()
    })
    this.#socket.on('connect_error', (cause) => to.report('unreachable', cause.message))
  }

  async send(frame: Bytes): Promise<void> {
    if (this.#linked) this.#socket.emit('frame', frame)
  }

  events(signal: AbortSignal): AsyncIterable<LinkEvent> {
    return this.#mailbox.items(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    this.#socket.disconnect()
  }

  #timer: ReturnType<typeof setTimeout> | undefined
  #comeBack(): void {
    this.#timer = setTimeout(() => this.#socket.connect(), 1000)
  }

  #hear(frame: unknown): void {
    const bytes = frame instanceof ArrayBuffer ? new Uint8Array(frame) : frame
    if (!isBytes(bytes) || bytes.length > FRAME_BYTES_MAX) return
    if (this.#linked) this.#mailbox.push({ kind: 'frame', frame: bytes })
    else this.#answer(bytes)
  }

  #answer(frame: Bytes): void {
    const signed = open(frame, FRAME_BYTES_MAX)
    if (!signed.ok || signed.value.from !== this.#to.coordinator)
      return this.#to.report('wrong-coordinator', signed.ok ? signed.value.from : signed.refusal)
    const message = readCoordinatorMessage(signed.value)
    if (!message.ok || message.value.kind !== 'challenge') return
    const { signer, coordinator, sequence } = this.#to
    const { nonce } = message.value
    this.#socket.emit('frame', say(signer, { kind: 'hello', to: coordinator, seq: sequence.next(), nonce, version: 1 }))
  }
}
