import type { Advanced } from './runner.ts'

/** Where a line goes: pino's, or whatever takes an object and what it is about. */
export type Lines = Record<'debug' | 'info' | 'warn', (fields: Readonly<Record<string, unknown>>, what: string) => void>

/** Of a run as a whole, and of its rounds; what single nodes do is for who looks closely. */
const INFO = new Set([
  'created',
  'held',
  'opened',
  'aggregated',
  'settled',
  'resumed',
  'stopped',
  'finished',
  'expired',
])

/**
 * One line of the log for each transition: names and times, never what a node said in its own words but for the reason that
 * it gives, and no key, code or token, since events hold none.
 */
export function writeRunLine(lines: Lines, { before, after, event, position }: Advanced): void {
  const round = 'round' in event ? event.round : before?.round?.round
  const fields = {
    run: after.spec.run,
    ...(round !== undefined && { round }),
    ...(after.round && { phase: after.round.phase }),
    ...('node' in event && { node: event.node }),
    ...('reason' in event && event.reason !== null && { reason: event.reason }),
    seq: position,
  }
  const ended = before?.round && !after.round ? after.past[before.round.round - 1] : undefined
  if (ended) {
    const millis = ended.endedAt - ended.openedAt
    const { cohort, reports, manifest, reason } = ended
    const summary = { ...fields, duration_ms: millis, cohort, reports }
    if (manifest === null) lines.warn({ ...summary, reason }, 'round aborted')
    else lines.info(summary, 'round closed')
    return
  }
  lines[INFO.has(event.kind) ? 'info' : 'debug'](fields, event.kind)
}
