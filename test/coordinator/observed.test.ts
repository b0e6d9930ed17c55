import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { SpanStatusCode } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { parse } from 'yaml'
import { Counters } from '#coordinator/counters.ts'
import { COUNTERS, GAUGES, HISTOGRAMS } from '#coordinator/measures.ts'
import type { Run } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { Advanced } from '#coordinator/runner.ts'
import { Traces } from '#coordinator/traces.ts'
import { watching } from '#coordinator/watching.ts'
import { WorkTimes } from '#coordinator/work-times.ts'
import { comesTrue } from '#test/eventually.ts'
import { cid, happens, node, RUN, specOf } from './fixture.ts'
import { accepted } from './histories.ts'
import { live } from './live.ts'

/** A run whose first round closes in 1 s with two of three seats, 0.7 s of which the slowest node trained; its second is aborted. */
const HISTORY: readonly RunEvent[] = [
  { kind: 'created', at: 1000, spec: specOf({ cohort: { ...specOf().cohort, min: 3, max: 3 } }) },
  { kind: 'held', at: 1000 },
  { kind: 'opened', at: 1000, round: 1, plan: cid('plan 1'), invited: 3 },
  ...[0, 1, 2].map((index) => ({ ...happens.join(index), at: 1050, round: 1 }) as RunEvent),
  { ...happens.report(0), at: 1500, round: 1, trainMillis: 400 } as RunEvent,
  { kind: 'left', at: 1700, round: 1, node: node(2), reason: 'gone' } as RunEvent,
  { ...happens.report(1), at: 1800, round: 1, trainMillis: 700 } as RunEvent,
]

function observed() {
  const spans = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  const counters = new Counters()
  const lines: (readonly [level: string, fields: Readonly<Record<string, unknown>>, what: string])[] = []
  const line = (level: string) => (fields: Readonly<Record<string, unknown>>, what: string) =>
    void lines.push([level, fields, what])
  let tell: ((advanced: Advanced) => void) | undefined
  let run: Run | undefined
  watching({
    runner: {
      subscribe: (listener) => {
        tell = listener
        return { [Symbol.dispose]: () => undefined }
      },
      runs: () => (run ? [run] : []),
    },
    presence: { nodes: async () => [node(0), node(1)] },
    ...{ counters, lines: { debug: line('debug'), info: line('info'), warn: line('warn') } },
    ...{
      traces: new Traces(provider.getTracer('test'), new WorkTimes({ now: () => 0 })),
      now: () => 61_000,
      version: '1.2.3',
    },
  })
  let position = 0
  const play = (event: RunEvent): Run => {
    const before = run
    run = accepted(run, event)
    tell?.({ before, after: run, event, position: position++ })
    return run
  }
  return { spans, counters, lines, play }
}

/** The first round of {@link HISTORY} to its end, and a second one for which nobody comes. */
function played(at: ReturnType<typeof observed>): void {
  for (const event of HISTORY) at.play(event)
  const aggregated = { ...happens.aggregate(2), at: 1900, round: 1 } as RunEvent
  at.play(aggregated)
  at.play({ ...happens.settle(), at: 2000, round: 1 } as RunEvent)
  at.play({ kind: 'opened', at: 2000, round: 2, plan: cid('plan 2'), invited: 0 })
  at.play({ kind: 'ticked', at: 2100, round: 2 } as RunEvent)
}

describe('what is measured', () => {
  test('is where the time of rounds went, by phase, and what was neither training nor waiting for it', async () => {
    const at = observed()
    played(at)
    const text = (await at.counters.text()).replace(
      / (\d+\.\d+)$/gm,
      (_, value: string) => ` ${Number(Number(value).toFixed(6))}`,
    )
    for (const line of [
      'consilium_rounds_total{result="closed"} 1',
      'consilium_rounds_total{result="aborted"} 1',
      'consilium_round_seats_total{outcome="reported"} 2',
      'consilium_round_seats_total{outcome="lost"} 1',
      'consilium_round_duration_seconds_sum{result="closed"} 1',
      'consilium_round_train_seconds_sum 0.7',
      'consilium_round_overhead_seconds_sum 0.3',
      'consilium_round_phase_seconds_sum{phase="selection"} 0.15',
      'consilium_round_phase_seconds_sum{phase="reporting"} 0.75',
      'consilium_round_phase_seconds_sum{phase="aggregation"} 0.1',
      'consilium_round_phase_seconds_sum{phase="settlement"} 0.1',
      'consilium_journal_events_total{kind="joined"} 3',
      'consilium_nodes 2',
      'consilium_runs{status="running"} 1',
      'consilium_build_info{version="1.2.3"} 1',
      'consilium_oldest_open_round_seconds 0',
    ])
      expect(text.split('\n')).toContain(line)
  })

  test('is traced: a trace for each round, with its phases and updates at the times of the log', () => {
    const at = observed()
    played(at)
    const spans = at.spans.getFinishedSpans()
    const roots = spans.filter(({ name }) => name === 'consilium.round')
    expect(roots.map(({ attributes, status }) => [attributes['consilium.round.number'], status.code])).toEqual([
      [1, SpanStatusCode.UNSET],
      [2, SpanStatusCode.ERROR],
    ])
    const [first] = roots
    const seconds = ([whole, nanos]: readonly [number, number]) => whole + nanos / 1e9
    const children = spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === first?.spanContext().spanId)
    expect(children.map(({ name, startTime, endTime }) => [name, seconds(startTime), seconds(endTime)])).toEqual([
      ['consilium.phase.selection', 1, 1.05],
      ['consilium.phase.reporting', 1.05, 1.8],
      ['consilium.phase.aggregation', 1.8, 1.9],
      ['consilium.phase.settlement', 1.9, 2],
      ['consilium.update', 1.05, 1.5],
      ['consilium.update', 1.05, 1.8],
    ])
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(2)
  })

  test('is written down, a line for each transition, the aborted round as a warning', () => {
    const at = observed()
    played(at)
    const told = at.lines.filter(([level]) => level !== 'debug').map(([level, , what]) => [level, what])
    expect(told).toEqual([
      ...[['created'], ['held'], ['opened'], ['aggregated'], ['round closed'], ['opened']].map(([what]) => [
        'info',
        what,
      ]),
      ['warn', 'round aborted'],
    ])
    expect(at.lines.find(([, , what]) => what === 'round closed')?.[1]).toEqual({
      ...{ run: RUN, round: 1, seq: 10, duration_ms: 1000, cohort: 3, reports: 2 },
    })
  })
})

describe('a dashboard and alerts', () => {
  const names = new Set(
    [...Object.keys(COUNTERS), ...Object.keys(GAUGES)]
      .concat(Object.keys(HISTOGRAMS).flatMap((name) => ['_bucket', '_count', '_sum'].map((part) => name + part)))
      .map((name) => `consilium_${name}`),
  )
  const labelsOf = (name: string): readonly string[] => {
    const bare = name.replace(/^consilium_/, '')
    const described = { ...COUNTERS, ...GAUGES, ...HISTOGRAMS } as Readonly<
      Record<string, { labels: readonly string[] }>
    >
    const own = described[bare] ?? described[bare.replace(/_(bucket|count|sum)$/, '')]
    return [...(own?.labels ?? []), 'instance', 'le']
  }
  const file = (path: string) => readFile(join(import.meta.dirname, '../..', path), 'utf8')
  /** Every metric that an expression names is exported, and has the labels that it is asked for. */
  const check = (expression: string): readonly string[] => {
    const used = [...expression.matchAll(/consilium_\w+/g)].map(([name]) => name)
    expect(used.filter((name) => !names.has(name))).toEqual([])
    const known = new Set(used.flatMap(labelsOf))
    const asked = [...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(',').map((one) => one.trim()),
    )
    const matched = [...expression.matchAll(/[{,](\w+)=/g)].map(([, label = '']) => label)
    expect([...asked, ...matched].filter((label) => !known.has(label))).toEqual([])
    expect([...expression].filter((one) => one === '(')).toHaveLength(
      [...expression].filter((one) => one === ')').length,
    )
    return used
  }

  test('ask for nothing that is not exported', async () => {
    const { panels } = JSON.parse(await file('docker/grafana/consilium.json')) as {
      readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[]
    }
    const shown = panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => check(expr)))
    type Rule = { readonly alert: string; readonly expr: string; readonly annotations: { readonly summary: string } }
    const { groups } = parse(await file('docker/prometheus/alerts.yaml')) as {
      groups: readonly { rules: readonly Rule[] }[]
    }
    const rules = groups.flatMap((group) => group.rules)
    for (const { alert, expr, annotations } of rules) {
      expect(alert).toMatch(/^[A-Z]\w+$/)
      expect(annotations.summary.length).toBeGreaterThan(10)
      expect(check(expr).length).toBeGreaterThan(0)
    }
    // And what is exported is looked at somewhere.
    const used = new Set(
      [...shown, ...rules.flatMap(({ expr }) => check(expr))].map((name) => name.replace(/_(bucket|count|sum)$/, '')),
    )
    const unseen = [...names].map((name) => name.replace(/_(bucket|count|sum)$/, '')).filter((name) => !used.has(name))
    expect([...new Set(unseen)].sort()).toEqual([
      ...['links', 'links_slowed_total', 'strangers', 'streams_closed_total'].map((name) => `consilium_${name}`),
    ])
  })

  test('see the first time that something happens: a series that can be alone is there before, as 0', async () => {
    const text = await new Counters().text()
    for (const [name, described] of Object.entries(COUNTERS))
      for (const value of 'values' in described ? described.values : [])
        expect(text).toContain(`consilium_${name}{${described.labels[0]}="${value}"} 0\n`)
    for (const series of ['round_duration_seconds_count{result="closed"}', 'round_phase_seconds_count{phase="keys"}'])
      expect(text).toContain(`consilium_${series} 0\n`)
    // What an alert asks of single events, by `increase`, is among them.
    expect(text).toContain('consilium_webhook_deliveries_total{outcome="gave-up"} 0\n')
    expect(text).toContain('consilium_rounds_total{result="aborted"} 0\n')
  })

  test('find it at a coordinator, each with its help and its type', async () => {
    await using at = await live()
    const text = await (await fetch(`${at.coordinator.url}/metrics`)).text()
    for (const name of names) {
      const family = name.replace(/_(bucket|count|sum)$/, '')
      expect(text).toMatch(new RegExp(`^# HELP ${family} .+\\n# TYPE ${family} (counter|gauge|histogram)$`, 'm'))
    }
    await at.api('/v1/runs/run_none')
    const again = await (await fetch(`${at.coordinator.url}/metrics`)).text()
    expect(again).toMatch(
      /^consilium_http_request_duration_seconds_count\{route="\/v1\/runs\/:id",method="GET",status="404"\} 1$/m,
    )
  })

  test('are told how long answers take, and not how long somebody has read an event stream', async () => {
    await using at = await live()
    const metrics = async () => (await fetch(`${at.coordinator.url}/metrics`)).text()
    const { id } = (await (await at.launch()).json()) as { readonly id: string }
    const stream = at.api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })
    const stop = { method: 'POST', body: '{"reason":"enough"}', headers: { 'content-type': 'application/json' } }
    await at.api(`/v1/runs/${id}/stop`, stop)
    // It ends with the run.
    expect(await (await stream).text()).toContain('run.stopped')
    await comesTrue(async () => (await metrics()).includes('consilium_event_streams 0\n'))
    // The same route is measured where it answers and is done.
    await at.api(`/v1/runs/${id}/events`)
    const counts = (await metrics()).matchAll(
      /^consilium_http_request_duration_seconds_count\{route="([^"]*events)",method="GET",status="(\d+)"\} (\d+)$/gm,
    )
    expect([...counts].map(([, ...told]) => told)).toEqual([['/v1/runs/:id/events', '200', '1']])
  })
})
