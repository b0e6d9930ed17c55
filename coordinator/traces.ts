import { type Context, ROOT_CONTEXT, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { Phases } from './phases.ts'
import { hasReported, type Round } from './round/round.ts'
import type { Advanced } from './runner.ts'
import type { Work, WorkTimes } from './work-times.ts'

/**
 * One trace for each round, told when it is over, with the times of the log: `consilium.round`, a child for each phase that
 * it went through, one for each update, from the seat to the report, and under its phase one for each piece of work that this
 * process did for it. A node's span holds how long it trained and nothing of its data. Times are dates: a small number would
 * be taken for one of the process's own clock. Without a provider (see the root) the tracer does nothing.
 */
export class Traces {
  readonly #tracer: Tracer
  readonly #workTimes: WorkTimes
  readonly #phases = new Phases()

  constructor(tracer: Tracer, workTimes: WorkTimes) {
    this.#tracer = tracer
    this.#workTimes = workTimes
  }

  hear(advanced: Advanced): void {
    const passed = this.#phases.hear(advanced)
    if (!passed) return
    const { past, stays } = passed
    const { run } = advanced.after.spec
    const { works, appends, appendMillis } = this.#workTimes.take(run, past.round)
    const root = this.#tracer.startSpan(
      'consilium.round',
      {
        root: true,
        startTime: new Date(past.openedAt),
        attributes: {
          ...{ 'consilium.run.id': run, 'consilium.round.number': past.round, 'consilium.round.purpose': past.purpose },
          ...{ 'consilium.round.seats': past.cohort, 'consilium.round.reports': past.reports },
          ...{ 'consilium.log.appends': appends, 'consilium.log.append.ms': Math.round(appendMillis) },
          ...(past.manifest && { 'consilium.round.manifest': past.manifest }),
        },
      },
      ROOT_CONTEXT,
    )
    if (past.manifest === null) root.setStatus({ code: SpanStatusCode.ERROR, message: past.reason ?? 'aborted' })
    const context = trace.setSpan(ROOT_CONTEXT, root)
    // Whatever there is no room for must not be the round itself: it ends first, and updates, of which there are most, last.
    root.end(new Date(past.endedAt))
    const under = stays.map(({ phase, from, to }) => {
      const span = this.#tracer.startSpan(`consilium.phase.${phase}`, { startTime: new Date(from) }, context)
      span.end(new Date(to))
      return { from, to, context: trace.setSpan(ROOT_CONTEXT, span) }
    })
    for (const work of works) {
      // A round is opened before it is there, and what was owed in a phase may be done after it.
      const within = under.find(({ from, to }) => work.from >= from && work.from <= to && work.to <= to)
      this.#tellWork(work, within?.context ?? context)
    }
    for (const { node, seat, from, to, trainMillis } of updatesOf(advanced.before?.round)) {
      const attributes = { 'consilium.node.id': node, 'consilium.seat': seat, 'consilium.train.ms': trainMillis }
      this.#tracer.startSpan('consilium.update', { startTime: new Date(from), attributes }, context).end(new Date(to))
    }
  }

  #tellWork({ kind, from, to, failed, readMillis, writeMillis }: Work, context: Context): void {
    const attributes = {
      ...{ 'consilium.blobs.read.ms': Math.round(readMillis), 'consilium.blobs.write.ms': Math.round(writeMillis) },
    }
    const span = this.#tracer.startSpan(`consilium.work.${kind}`, { startTime: new Date(from), attributes }, context)
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR, message: 'it is tried again' })
    span.end(new Date(to))
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
