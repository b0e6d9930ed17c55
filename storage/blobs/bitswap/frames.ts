import type { Libp2p } from 'libp2p'
import { concat } from '#protocol/bytes.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'

export type Connection = ReturnType<Libp2p['getConnections']>[number]
export type Stream = Awaited<ReturnType<Connection['newStream']>>

/**
 * The frames of a stream, each with its length before it. The stream is held up while nobody asks for the next one, so no
 * more of it is kept than one frame and what the multiplexer allows to be under way.
 *
 * @param admit told how long a frame will be before any of it is kept; throws where that is too much
 */
export async function* readFrames(stream: Stream, admit: (sizeBytes: number) => Disposable): AsyncIterable<Bytes> {
  const inlet = openInlet(stream)
  for (;;) {
    const size = await sizeOfNext(inlet)
    if (size === undefined) return
    using _ = admit(size)
    const frame = await inlet.take(size)
    if (!frame) throw new Error('the stream ended within a frame')
    yield frame
  }
}

/**
 * Resolves when the connection has taken all of it, and will take more. A peer that takes nothing for too long loses the
 * stream. The stream's own `onDrain` resolves as soon as something is taken, and ever after at once.
 */
export async function writeFrame(stream: Stream, frame: Bytes, allowMillis: Millis): Promise<void> {
  const late = AbortSignal.timeout(allowMillis)
  try {
    stream.send(frame)
    while (stream.writableNeedsDrain || stream.writeBufferLength > 0) {
      late.throwIfAborted()
      await moved(stream, late)
    }
  } catch (cause) {
    stream.abort(new Error('a frame was not taken', { cause }))
    throw cause
  }
}

/** Something was taken, or the stream or the time is over. */
function moved(stream: Stream, late: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = new AbortController()
    const listen = { signal: over.signal }
    const end = (settle: () => void) => {
      over.abort()
      settle()
    }
    for (const event of ['drain', 'idle'] as const) stream.addEventListener(event, () => end(resolve), listen)
    stream.addEventListener('close', () => end(() => reject(new Error('the stream is closed'))), listen)
    late.addEventListener('abort', () => end(() => reject(late.reason)), listen)
  })
}

/** Four bytes of seven bits: 256 MiB, far above every bound. */
const LENGTH_BYTES_MAX = 4

async function sizeOfNext(inlet: Inlet): Promise<number | undefined> {
  let size = 0
  for (let place = 0; place < LENGTH_BYTES_MAX; place++) {
    const [byte] = (await inlet.take(1)) ?? []
    if (byte === undefined) return undefined
    size += (byte & 0x7f) * 2 ** (7 * place)
    if (byte < 0x80) return size
  }
  throw new Error('a frame of more than 256 MiB')
}

type Inlet = {
  /** Exactly so many bytes; undefined where the stream ends before. */
  take(sizeBytes: number): Promise<Bytes | undefined>
}

function openInlet(stream: Stream): Inlet {
  const chunks: Bytes[] = []
  let held = 0
  let ended = stream.readableEnded
  let fault: Error | undefined
  let changed = Promise.withResolvers<void>()
  const tell = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const end = (cause?: Error) => {
    ended = true
    fault ??= cause
    tell()
  }
  stream.addEventListener('end', () => end())
  stream.addEventListener('close', ({ error }) => {
    if (error) end(error)
  })
  stream.addEventListener('message', ({ data }) => {
    chunks.push(data.subarray())
    held += data.byteLength
    if (isOpen(stream)) stream.pause()
    tell()
  })

  return {
    async take(size) {
      while (held < size && !ended) {
        const change = changed.promise
        if (isOpen(stream)) stream.resume()
        if (held < size && !ended) await change
      }
      if (fault) throw fault
      if (held < size) return undefined
      held -= size
      const taken: Bytes[] = []
      for (let left = size; left > 0; ) {
        const chunk = chunks[0] as Bytes
        if (chunk.length <= left) chunks.shift()
        else chunks[0] = chunk.subarray(left)
        taken.push(chunk.subarray(0, left))
        left -= Math.min(left, chunk.length)
      }
      return taken.length === 1 ? (taken[0] as Bytes) : concat(...taken)
    },
  }
}

function isOpen({ readStatus }: Stream): boolean {
  return readStatus === 'readable' || readStatus === 'paused'
}
