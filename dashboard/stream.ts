import { ApiProblem, call } from './api.ts'

/** Of a stream that is kept open. `refused`: it is not there, or not for this key, and will not be. */
export type Link = 'connecting' | 'live' | 'reconnecting' | 'ended' | 'refused'

type Body = ReadableStream<Uint8Array<ArrayBuffer>>
type Taken = {
  /** Asked each time anew: where to go on. */
  readonly headers: () => Readonly<Record<string, string>>
  /** Reads one stream to its end. @returns whether nothing comes after it */
  readonly read: (body: Body, heard: () => void) => Promise<boolean>
  readonly linked: (link: Link) => void
}

const PAUSES_MILLIS = [100, 250, 500, 1000, 2000] as const
/** The coordinator says something every fifteen seconds: one that is silent for longer is gone. */
const SILENCE_MILLIS_MAX = 40_000

/** Keeps a stream of server-sent events open until the signal fires, however often it breaks. */
export async function keepOpen(path: string, { headers, read, linked }: Taken, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    const silence = new AbortController()
    try {
      const { status, body } = await call(path, {
        headers: { accept: 'text/event-stream', ...headers() },
        signal: AbortSignal.any([signal, silence.signal]),
      })
      if (status === 204) return linked('ended')
      linked('live')
      const heard = () => {
        failures = 0
      }
      if (body && (await read(watched(body, silence), heard))) return linked('ended')
    } catch (cause) {
      if (signal.aborted) return
      if (cause instanceof ApiProblem && [400, 401, 403, 404].includes(cause.status)) return linked('refused')
    } finally {
      silence.abort()
    }
    if (signal.aborted) return
    linked('reconnecting')
    await pause(PAUSES_MILLIS[Math.min(failures++, PAUSES_MILLIS.length - 1)] as number, signal)
  }
}

/** The same stream, ended when nothing comes for too long. */
function watched(body: Body, silence: AbortController): Body {
  let timer = setTimeout(() => silence.abort(), SILENCE_MILLIS_MAX)
  silence.signal.addEventListener('abort', () => clearTimeout(timer))
  return body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, out) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), SILENCE_MILLIS_MAX)
        out.enqueue(piece)
      },
    }),
  )
}

function pause(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
