import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ulid } from 'ulid'
import { problemBody } from './problems.ts'

/** What is no HTTP, or came too slowly to be any: answered as everything else is, and not listened to any longer. */
export function answerUnparsed(cause: NodeJS.ErrnoException, socket: Socket): void {
  if (cause.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, code, detail } = meaningOf(cause.code)
  const body = JSON.stringify(
    problemBody({
      status,
      code,
      title: STATUS_CODES[status] as string,
      detail,
      instance: '',
      request: `req_${ulid()}`,
    }),
  )
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...['content-type: application/problem+json', 'x-content-type-options: nosniff', 'connection: close'],
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function meaningOf(code: string | undefined) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return { status: 408, code: 'request_too_slow', detail: 'the request did not come in time' } as const
  if (code === 'HPE_HEADER_OVERFLOW')
    return {
      status: 431,
      code: 'headers_too_large',
      detail: 'address and headers are larger than any are taken',
    } as const
  return { status: 400, code: 'not_http', detail: 'it cannot be read as a request' } as const
}
