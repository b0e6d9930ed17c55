import { setImmediate } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Feed, followAll } from '#cli/all-events.ts'
import { ApiError, ConnectionError } from '#sdk/errors.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import { type SdkDoors, Transport } from '#sdk/transport.ts'

const BEGAN = Date.UTC(2026, 10, 22)
const RUNS = ['run_A', 'run_B', 'run_C'] as const

/** A coordinator whose feed says no more than ours: what changed since it last spoke, and nothing of what it missed. */
class Pretended implements Feed {
  clock = BEGAN
  readonly logs = new Map<string, ApiEvent[]>()
  readonly #changed = new Set<string>()
  #stream: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined
  #failing = 0

  happen(run: string, type = 'round.opened'): void {
    const log = this.logs.get(run) ?? []
    this.clock += 1500
    log.push({ type, run, seq: log.length, time: new Date(this.clock).toISOString() })
    this.logs.set(run, log)
    if (this.#stream) this.#changed.add(run)
  }

  /** The next answers that do not arrive, or not whole. */
  fail(times: number): void {
    this.#failing += times
  }

  /** News of several events at once. */
  flush(): void {
    for (const run of this.#changed) this.#say({ type: 'run.event', run, seq: (this.logs.get(run)?.length ?? 0) - 1 })
    this.#changed.clear()
  }

  cut(with_: 'an end' | 'an error'): void {
    if (with_ === 'an end') this.#stream?.close()
    else this.#stream?.error(new TypeError('terminated'))
    this.#stream = undefined
    this.#changed.clear()
  }

  /** As a Date header tells it. */
  async now(): Promise<number> {
    return Math.floor(this.clock / 1000) * 1000
  }

  get transport(): Transport {
    return new Transport({ url: 'http://127.0.0.1:9', maxRetries: 0, fetch: async () => this.open(), doors })
  }

  get isOpen(): boolean {
    return this.#stream !== undefined
  }

  open(): Response {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (stream) => {
        this.#stream = stream
        this.#say({ type: 'reset' })
        this.#say({ type: 'nodes.changed', linked: 3 })
      },
      // Whoever followed it has left, and comes back for another.
      cancel: () => {
        this.#stream = undefined
        this.#changed.clear()
      },
    })
    return new Response(body)
  }

  async runs() {
    this.#mayFail()
    return [...this.logs].map(([id, log]) => ({
      id,
      status: log.some(({ type }) => type === 'run.completed') ? 'completed' : 'running',
    }))
  }

  async *pastEvents(run: string, after: number) {
    const [first, ...rest] = (this.logs.get(run) ?? []).slice(after + 1)
    if (first) yield first
    this.#mayFail()
    yield* rest
  }

  #mayFail(): void {
    if (this.#failing === 0) return
    this.#failing--
    throw new ConnectionError('unreachable', 'http://here', 'cut off')
  }

  #say(data: object): void {
    this.#stream?.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(data)}\n\n`))
  }
}

async function settled(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 300 && !isSo(); turn++) await setImmediate()
}

const doors: Partial<SdkDoors> = { now: () => 0, pause: async () => void (await setImmediate()) }
const step = fc.oneof(
  fc.record({ do: fc.constant('happen' as const), run: fc.constantFrom(...RUNS) }),
  fc.record({
    do: fc.constant('happen' as const),
    run: fc.constantFrom(...RUNS),
    type: fc.constant('run.completed'),
  }),
  fc.record({ do: fc.constantFrom('flush', 'wait', 'fail') }),
  fc.record({ do: fc.constant('cut' as const), with_: fc.constantFrom('an end', 'an error') }),
)

test('each event of every run is told once, in the order of its run, whatever becomes of the feed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(3), fc.nat(2), fc.array(step, { maxLength: 30 }), async (before, failing, steps) => {
      const feed = new Pretended()
      for (let past = 0; past < before; past++) feed.happen('run_A')
      // What is of the past is not told: as far as a clock of whole seconds can tell.
      feed.clock += 2000
      const skipped = new Map([...feed.logs].map(([run, { length }]) => [run, length]))
      const ending = new AbortController()
      const told = new Map<string, number[]>()
      const following = (async () => {
        const opened = () => feed.fail(failing)
        for await (const { run, seq } of followAll(feed.transport, feed, { signal: ending.signal, opened }))
          told.set(run, [...(told.get(run) ?? []), seq])
      })()
      await settled(() => feed.isOpen)
      for (const one of steps) {
        if (one.do === 'happen') feed.happen(one.run, 'type' in one ? one.type : undefined)
        else if (one.do === 'fail') feed.fail(2)
        else if (one.do === 'flush') feed.flush()
        else if (one.do === 'cut') feed.cut(one.with_)
        else for (let turn = 0; turn < 20; turn++) await setImmediate()
      }
      feed.flush()
      const due = () => RUNS.map((run) => (feed.logs.get(run)?.length ?? 0) - (skipped.get(run) ?? 0))
      await settled(() => RUNS.every((run, at) => (told.get(run)?.length ?? 0) >= (due()[at] ?? 0)))
      // Whatever would be told twice comes now.
      for (let turn = 0; turn < 20; turn++) await setImmediate()
      ending.abort()
      feed.cut('an end')
      await following
      for (const [at, run] of RUNS.entries())
        expect(told.get(run) ?? []).toEqual(
          Array.from({ length: due()[at] ?? 0 }, (_, seq) => seq + (skipped.get(run) ?? 0)),
        )
    }),
    { numRuns: 100 },
  )
})

test('what is told late of a run that had ended before is read again where it did not arrive whole', async () => {
  const feed = new Pretended()
  feed.happen('run_A', 'run.completed')
  feed.clock += 2000
  const ending = new AbortController()
  const told: string[] = []
  const following = (async () => {
    for await (const { type } of followAll(feed.transport, feed, { signal: ending.signal })) told.push(type)
  })()
  await settled(() => feed.isOpen)
  for (const type of ['vectors.expired', 'vectors.deleted']) feed.happen('run_A', type)
  feed.fail(1)
  feed.flush()
  await settled(() => told.length === 2)
  ending.abort()
  feed.cut('an end')
  await following
  expect(told).toEqual(['vectors.expired', 'vectors.deleted'])
})

test('what is refused ends it, with the refusal', async () => {
  const feed = new Pretended()
  const refused = new ApiError(401, { code: 'unauthorized', detail: 'the key was revoked' })
  const opened = () => {
    feed.runs = () => Promise.reject(refused)
  }
  const following = (async () => {
    for await (const _ of followAll(feed.transport, feed, { signal: new AbortController().signal, opened }));
  })()
  await expect(following).rejects.toBe(refused)
})
