import type { ApiEvent } from '#sdk/sse.ts'
import { plain } from './width.ts'

/** An event as a line of key=value: what is nested stays JSON. */
export function eventLine(
  { type, run, seq, time, ...fields }: ApiEvent,
  { withRun }: { readonly withRun: boolean },
): string {
  const told = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [`${name}=${valueText(value)}`],
  )
  return plain([time, ...(withRun ? [run] : []), String(seq).padStart(4), type, ...told].join(' '))
}

function valueText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[\w.:/+-]+$/.test(value) ? value : JSON.stringify(value)
}
