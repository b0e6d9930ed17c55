import type { Millis } from '#protocol/ids.ts'
import { SOCKET_BYTES_MAX } from '#protocol/limits.ts'
import { LINK_PATH } from '#protocol/messages.ts'
import { type Dial, HUNG_UP } from './line.ts'

/**
 * A line of a page: what it needs of Socket.IO 5 over Engine.IO 4, which is little, on the browser's own WebSocket. There is
 * one namespace, no acknowledgement, and no frame but one of bytes. Whatever else is said ends the line.
 */
export const dialFromPage: Dial = (url, ears) => {
  const { protocol, host } = new URL(url)
  const socket = new WebSocket(
    `${protocol === 'https:' ? 'wss' : 'ws'}://${host}${LINK_PATH}/?EIO=4&transport=websocket`,
  )
  socket.binaryType = 'arraybuffer'
  let state: 'dialled' | 'connected' | 'over' = 'dialled'
  /** Set from the coordinator's first word: how long it may be silent. */
  let silenceMillis: Millis | undefined
  let silence: ReturnType<typeof setTimeout> | undefined
  let isFrameDue = false

  const end = (): void => {
    state = 'over'
    clearTimeout(silence)
    socket.close()
  }
  const lose = (reason: string): void => {
    if (state === 'over') return
    const tell = state === 'connected' ? ears.lost : ears.unreachable
    end()
    tell(reason)
  }
  const listenOn = (): void => {
    clearTimeout(silence)
    silence = setTimeout(lose, silenceMillis, 'ping timeout')
  }

  const hearEvent = (text: string): void => {
    const [name, detail] = JSON.parse(text) as readonly unknown[]
    if (name === 'linked') ears.linked()
    else if (name === 'refused') ears.refused(detail)
  }
  const hearText = (text: string): void => {
    if (isFrameDue) return lose('parse error')
    if (silenceMillis === undefined) {
      silenceMillis = silenceIn(text)
      if (silenceMillis === undefined) return lose('parse error')
      listenOn()
      return socket.send(CONNECT)
    }
    if (text === PING) {
      listenOn()
      return socket.send(PONG)
    }
    if (state === 'dialled') {
      if (!text.startsWith(CONNECT)) return lose('turned away')
      state = 'connected'
      return
    }
    if (text === DISCONNECT) return lose(HUNG_UP)
    if (text === FRAME) isFrameDue = true
    else if (text.startsWith(EVENT)) hearEvent(text.slice(EVENT.length))
    else lose('parse error')
  }

  socket.onmessage = ({ data }: { readonly data: unknown }) => {
    if (state === 'over') return
    try {
      if (typeof data === 'string') return data.length > SOCKET_BYTES_MAX ? lose('too large') : hearText(data)
      if (!isFrameDue) return lose('parse error')
      isFrameDue = false
      ears.frame(data)
    } catch {
      lose('parse error')
    }
  }
  socket.onerror = () => lose('websocket error')
  socket.onclose = () => lose('transport close')
  return {
    send(frame) {
      if (state !== 'connected') return
      socket.send(FRAME)
      socket.send(frame as Uint8Array<ArrayBuffer>)
    },
    close: end,
  }
}

/** Packets, as they are on the line: the digits are Engine.IO's kind and Socket.IO's. */
const PING = '2'
const PONG = '3'
const CONNECT = '40'
const DISCONNECT = '41'
const EVENT = '42'
/** The bytes come as the next message. */
const FRAME = '451-["frame",{"_placeholder":true,"num":0}]'

/** Of Engine.IO's first packet. */
function silenceIn(text: string): Millis | undefined {
  if (!text.startsWith('0')) return undefined
  const { pingInterval, pingTimeout } = JSON.parse(text.slice(1)) as Record<string, unknown>
  const sum = Number(pingInterval) + Number(pingTimeout)
  return sum > 0 && sum <= SILENCE_MILLIS_MAX ? sum : undefined
}

const SILENCE_MILLIS_MAX: Millis = 600_000
