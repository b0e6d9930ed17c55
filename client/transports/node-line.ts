import { io } from 'socket.io-client'
import { SOCKET_BYTES_MAX } from '#protocol/limits.ts'
import { LINK_PATH } from '#protocol/messages.ts'
import type { Dial } from './line.ts'

/** What a WebSocket takes in one message, which its own default has a thousand times larger. Nothing is worth compressing. */
const LIMITS = { maxPayload: SOCKET_BYTES_MAX, perMessageDeflate: false } as object

/** A line of Node.js. */
export const dialFromNode: Dial = (url, { frame, linked, refused, lost, unreachable }) => {
  const socket = io(url, {
    ...{ path: LINK_PATH, transports: ['websocket'], forceNew: true, reconnection: false },
    ...LIMITS,
  })
  socket.on('frame', frame)
  socket.on('linked', linked)
  socket.on('refused', refused)
  socket.on('disconnect', (reason) => {
    if (reason !== 'io client disconnect') lost(reason)
  })
  socket.on('connect_error', (cause) => unreachable(reasonOf(cause)))
  return {
    send: (bytes) => void socket.emit('frame', bytes),
    close: () => void socket.disconnect(),
  }
}

/** Of whatever went wrong below it engine.io says that it was a WebSocket's error, and keeps what that said beside it. */
function reasonOf(cause: Error & { readonly description?: unknown }): string {
  const { message } = (cause.description ?? {}) as { readonly message?: unknown }
  return typeof message === 'string' && message !== '' ? message : cause.message
}
