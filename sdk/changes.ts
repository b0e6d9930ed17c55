import { dataIn } from './sse.ts'
import { type Body, streamed } from './stream.ts'
import type { CallOptions, Transport } from './transport.ts'

/** `reset`: read your lists, now and after every break. `run.event`: the run has events up to `seq`. */
export type Change =
  | { readonly type: 'reset' }
  | { readonly type: 'run.event'; readonly run: string; readonly seq: number }
  | { readonly type: 'nodes.changed'; readonly linked: number }

/** What changes, over whatever happens to the connection or to the coordinator; ends when the signal fires. */
export function changes(transport: Transport, { signal }: CallOptions): AsyncIterable<Change> {
  return streamed(transport, CHANGES, { signal, read: changesIn })
}

export const CHANGES = '/v1/events'

/** What one connection tells of them. */
export async function* changesIn(body: Body): AsyncIterable<Change> {
  for await (const change of dataIn(body)) if (isChange(change)) yield change
}

function isChange(value: unknown): value is Change {
  const { type, run, seq, linked } = (value ?? {}) as Partial<Record<string, unknown>>
  if (type === 'run.event') return typeof run === 'string' && Number.isInteger(seq)
  return type === 'reset' || (type === 'nodes.changed' && Number.isInteger(linked))
}
