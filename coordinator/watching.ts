import type { Millis } from '#protocol/ids.ts'
import type { Presence } from '#protocol/ports.ts'
import type { Counters } from './counters.ts'
import { RoundMeasures, runGauges } from './round-measures.ts'
import { type Lines, writeRunLine } from './run-lines.ts'
import type { Runner } from './runner.ts'
import type { Traces } from './traces.ts'

export type WatchingDoors = {
  readonly runner: Pick<Runner, 'subscribe' | 'runs'>
  readonly presence: Pick<Presence, 'nodes'>
  readonly counters: Counters
  readonly lines: Lines
  readonly traces: Traces
  readonly now: () => Millis
  readonly version: string
}

/** From every transition: what is counted, what is written down, what is traced. */
export function watching({ runner, presence, counters, lines, traces, now, version }: WatchingDoors): Disposable {
  const measures = new RoundMeasures(counters)
  counters.watch(async () => ({
    build_info: { [version]: 1 },
    ...runGauges(runner.runs(), now()),
    // A registry that is away must not take all other figures with it.
    ...(await presence.nodes().then(
      (nodes) => ({ nodes: nodes.length }),
      () => ({}),
    )),
  }))
  return runner.subscribe((advanced) => {
    measures.hear(advanced)
    writeRunLine(lines, advanced)
    traces.hear(advanced)
  })
}
