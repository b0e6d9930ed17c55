/** One event of a run as the API tells it: flat, snake_case, by type. */
export type ApiEvent = {
  readonly type: string
  readonly run: string
  readonly seq: number
  readonly time: string
  readonly [field: string]: unknown
}

/** Nothing comes after it: the run has ended. */
export function isLast({ type }: ApiEvent): boolean {
  return type === 'run.completed' || type === 'run.failed' || type === 'run.stopped'
}

/** Since it the run was paused: ordered while a round was open, that is told by the round's end and by nothing else. */
export function tellsOfPause({ type, paused }: ApiEvent): boolean {
  return type === 'run.paused' || (type === 'round.completed' && typeof paused === 'string')
}

/** An event is at most 4 KiB in the log; what grows past this on the wire is no event stream. */
const EVENT_CHARS_MAX = 1024 * 1024

/** The events of a run's stream. Others are passed over. */
export async function* eventsIn(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncIterable<ApiEvent> {
  for await (const value of dataIn(body)) if (isEvent(value)) yield value
}

/** The data of a stream of server-sent events (HTML Living Standard, 9.2.6), as JSON. What is none is passed over. */
export async function* dataIn(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncIterable<unknown> {
  let waiting = ''
  let data: string[] = []
  for await (const piece of piecesOf(body.pipeThrough(new TextDecoderStream()))) {
    waiting += piece
    if (waiting.length > EVENT_CHARS_MAX) throw new RangeError('an event without an end')
    // A line may end in CR LF whose LF is still to come: a CR at the very end waits.
    const lines = waiting.split(/\r\n|\n|\r(?!$)/)
    waiting = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') {
        // Of any characters: a line separator of Unicode ends no line here.
        const text = /^data:(?: ?)(.*)$/s.exec(line)
        if (text) data.push(text[1] as string)
        continue
      }
      const value = data.length > 0 ? parse(data.join('\n')) : undefined
      data = []
      if (value !== undefined) yield value
    }
  }
}

/** By its reader: WebKit lets nobody iterate over a stream. Whoever leaves the loop gives the stream back. */
async function* piecesOf<T>(stream: ReadableStream<T>): AsyncIterable<T> {
  const reader = stream.getReader()
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value
  } finally {
    await reader.cancel()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isEvent(value: unknown): value is ApiEvent {
  if (value === null || typeof value !== 'object') return false
  const { type, run, seq, time } = value as Partial<Record<string, unknown>>
  return typeof type === 'string' && typeof run === 'string' && Number.isInteger(seq) && typeof time === 'string'
}
