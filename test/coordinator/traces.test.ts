import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Settlement } from '#coordinator/round/round.ts'
import type { Run } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { Advanced } from '#coordinator/runner.ts'
import { Traces } from '#coordinator/traces.ts'
import { openTracing } from '#coordinator/tracing.ts'
import { WorkTimes } from '#coordinator/work-times.ts'
import { COHORT_MAX } from '#protocol/limits.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { nodeBeside, runOf } from '#test/lend/page.ts'
import { openCollector, type Told } from './collector.ts'
import { cid, happens, specOf } from './fixture.ts'
import { accepted } from './histories.ts'
import { live } from './live.ts'

const NAMES = ['ENDPOINT', 'HEADERS'].map((name) => `OTEL_EXPORTER_OTLP_${name}`).concat('OTEL_RESOURCE_ATTRIBUTES')
afterEach(() => {
  for (const name of NAMES) delete process.env[name]
})

const sizeOf = (spans: readonly Told[], name: string) => spans.filter((span) => span.name === name).length

describe('what a collector of OTLP is sent', () => {
  test('tells where the time of each round went: its phases, what the coordinator did in them, its stores and its log', async () => {
    await using collector = await openCollector()
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url
    process.env['OTEL_RESOURCE_ATTRIBUTES'] = 'deployment.environment.name=trial'
    await using folder = await temporaryFolder()
    const at = await live({ graceMillis: 2000 })
    {
      await using _first = await nodeBeside(at.coordinator, join(folder.path, '1'), { backend: 'cpu' })
      await using _second = await nodeBeside(at.coordinator, join(folder.path, '2'), { backend: 'cpu' })
      expect(await runOf(at, { masking: 'none', cohort: { min: 2, max: 2, quorum: 2 } })).toMatchObject({ ok: true })
    }
    // What waits is sent before it closes.
    await at[Symbol.asyncDispose]()

    const { spans } = collector
    const roots = spans.filter(({ name }) => name === 'consilium.round').toSorted((a, b) => a.from - b.from)
    expect(
      roots.map(({ parent, isError, attributes }) => [parent, isError, attributes['consilium.round.purpose']]),
    ).toEqual([
      [undefined, false, 'train'],
      [undefined, false, 'evaluate'],
    ])
    expect(new Set(spans.map(({ trace }) => trace)).size).toBe(2)
    expect(new Set(spans.map(({ id }) => id)).size).toBe(spans.length)
    for (const { resource } of spans)
      expect(resource).toEqual({
        ...{ 'service.name': 'consilium-coordinator', 'service.version': '0.0.0' },
        ...{ 'service.instance.id': expect.any(String), 'deployment.environment.name': 'trial' },
      })

    const [root] = roots as [Told]
    const ofRound = spans.filter(({ trace }) => trace === root.trace)
    const phases = ofRound.filter(({ name }) => name.startsWith('consilium.phase.'))
    expect(phases.map(({ name }) => name)).toEqual(
      ['selection', 'reporting', 'aggregation', 'settlement'].map((phase) => `consilium.phase.${phase}`),
    )
    // One after another, from the round's beginning to its end: no time of it is unaccounted for.
    expect(phases.map(({ from }) => from)).toEqual([root.from, ...phases.slice(0, -1).map(({ to }) => to)])
    expect(phases.at(-1)?.to).toBe(root.to)
    for (const { parent } of phases) expect(parent).toBe(root.id)

    const underOf = (work: string) => {
      const span = ofRound.find(({ name }) => name === `consilium.work.${work}`) as Told
      const parent = ofRound.find(({ id }) => id === span.parent) as Told
      return { under: parent.name, span, parent }
    }
    expect([underOf('open').under, underOf('aggregate').under, underOf('settle').under]).toEqual([
      ...['consilium.round', 'consilium.phase.aggregation', 'consilium.phase.settlement'],
    ])
    const { span: aggregate, parent } = underOf('aggregate')
    expect([aggregate.from >= parent.from, aggregate.to <= parent.to, aggregate.isError]).toEqual([true, true, false])
    const waited = ['read', 'write'].map((how) => aggregate.attributes[`consilium.blobs.${how}.ms`] as number)
    for (const millis of waited) expect(millis).toBeLessThanOrEqual(aggregate.to - aggregate.from + 1)
    expect(root.attributes['consilium.log.appends']).toBeGreaterThan(4)
    expect(root.attributes['consilium.log.append.ms']).toBeGreaterThan(0)
    expect(sizeOf(ofRound, 'consilium.update')).toBe(2)
  }, 60_000)

  test('is every seat of the largest cohort, and the round before them', async () => {
    await using collector = await openCollector()
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url
    const failures: Error[] = []
    const tracing = await openTracing(process.env, '1', (cause) => void failures.push(cause))
    const traces = new Traces(tracing.provider.getTracer('test'), new WorkTimes({ now: () => 0 }))
    const told = largest()
    for (const advanced of told) traces.hear(advanced)
    await tracing[Symbol.asyncDispose]()
    const { spans, batches } = collector
    expect(['consilium.update', 'consilium.round'].map((name) => sizeOf(spans, name))).toEqual([COHORT_MAX, 1])
    expect(batches.map(([first]) => first?.name)).toContain('consilium.round')
    expect(failures).toEqual([])
  })
})

describe('a collector that takes nothing', () => {
  test.each([
    ['refuses', 400],
    ['says nothing', 'nothing'],
  ] as const)('and %s holds up neither rounds nor the end', async (how, answer) => {
    await using collector = await openCollector(() => answer)
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url
    const at = await live()
    const launched = await at.launch({ timing: { selectionMillis: 20 } })
    const { id } = (await launched.json()) as { readonly id: string }
    const statusOf = async () => ((await (await at.api(`/v1/runs/${id}`)).json()) as { status: string }).status
    await comesTrue(async () => (await statusOf()) === 'failed')
    const began = performance.now()
    await at[Symbol.asyncDispose]()
    expect(performance.now() - began).toBeLessThan(10_000)
    expect([how, collector.spans]).toEqual([how, []])
  })

  test('is told of, without what it was sent', async () => {
    await using collector = await openCollector(() => 400)
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url
    process.env['OTEL_EXPORTER_OTLP_HEADERS'] = 'authorization=Bearer hunter2'
    const failures: Error[] = []
    const tracing = await openTracing(process.env, '1', (cause) => void failures.push(cause))
    tracing.provider.getTracer('test').startSpan('consilium.round').end()
    await tracing[Symbol.asyncDispose]()
    expect(failures.length).toBeGreaterThan(0)
    expect(failures.map(String).join(' ')).not.toMatch(/hunter2/)
  })
})

/** A round that closes, as it would with every seat of the largest cohort filled. */
function largest(): readonly Advanced[] {
  const at = 1_700_000_000_000
  const spec = specOf({ cohort: { ...specOf().cohort, min: 2, max: 2, quorum: 2 } })
  const events = [
    { kind: 'created', at, spec },
    { kind: 'held', at },
    { kind: 'opened', at, round: 1, plan: cid('plan 1'), invited: 2 },
    ...[0, 1].map((index) => ({ ...happens.join(index), at: at + 50, round: 1 })),
    ...[0, 1].map((index) => ({ ...happens.report(index), at: at + 500, round: 1 })),
    { ...happens.aggregate(2), at: at + 900, round: 1 },
    { ...happens.settle(), at: at + 1000, round: 1 },
  ] as readonly RunEvent[]
  let run: Run | undefined
  return events.map((event, position) => {
    const before = run
    run = accepted(run, event)
    const { round } = before ?? {}
    if (event.kind !== 'settled' || !before || round?.phase !== 'settlement')
      return { before, after: run, event, position }
    const [seats, cohort] = [round.seats, round.cohort].map((few) => Array(COHORT_MAX).fill(few[0]))
    return { before: { ...before, round: { ...round, seats, cohort } as Settlement }, after: run, event, position }
  })
}
