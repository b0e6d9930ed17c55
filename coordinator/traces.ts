import { ROOT_CONTEXT, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { Phases } from './phases.ts'
import { hasReported, type Round } from './round/round.ts'
import type { Advanced } from './runner.ts'

/**
 * One trace for each round, told when it is over, with the times of the log: `consilium.round`, a child for each phase that
 * it went through, and one for each update, from the seat to the report. A node's span holds how long it trained and nothing
 * of its data. Times are dates: a small number would be taken for one of the process's own clock. Without a provider (see the root) the tracer does nothing.
 */
export class Traces {
  readonly #tracer: Tracer
  readonly #phases = new Phases()

  constructor(tracer: Tracer) {
    this.#tracer = tracer
  }

  hear(advanced: Advanced): void {
    const passed = this.#phases.hear(advanced)
    if (!passed) return
    const { past, stays } = passed
    const { run } = advanced.after.spec
    const root = this.#tracer.startSpan(
      'consilium.round',
      {
        root: true,
        startTime: new Date(past.openedAt),
        attributes: {
          ...{ 'consilium.run.id': run, 'consilium.round.number': past.round, 'consilium.round.purpose': past.purpose },
          ...{ 'consilium.round.seats': past.cohort, 'consilium.round.reports': past.reports },
          ...(past.manifest && { 'consilium.round.manifest': past.manifest }),
        },
      },
      ROOT_CONTEXT,
    )
    if (past.manifest === null) root.setStatus({ code: SpanStatusCode.ERROR, message: past.reason ?? 'aborted' })
    const context = trace.setSpan(ROOT_CONTEXT, root)
    for (const { phase, from, to } of stays)
      this.#tracer.startSpan(`consilium.phase.${phase}`, { startTime: new Date(from) }, context).end(new Date(to))
    for (const { node, seat, from, to, trainMillis } of updatesOf(advanced.before?.round)) {
      const attributes = { 'consilium.node.id': node, 'consilium.seat': seat, 'consilium.train.ms': trainMillis }
      this.#tracer.startSpan('consilium.update', { startTime: new Date(from), attributes }, context).end(new Date(to))
    }
    root.end(new Date(past.endedAt))
  }
}

function updatesOf(round: Round | undefined) {
  if (!round || !('seats' in round) || !('startedAt' in round)) return []
  return round.seats.flatMap((state, seat) =>
    hasReported(state)
      ? [
          {
            node: round.cohort[seat] as string,
            seat,
            from: round.startedAt,
            to: state.at,
            trainMillis: state.trainMillis,
          },
        ]
      : [],
  )
}
