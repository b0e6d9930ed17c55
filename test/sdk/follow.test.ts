import assert from 'node:assert/strict'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ConnectionError } from '#sdk/errors.ts'
import { follow } from '#sdk/follow.ts'
import { Run } from '#sdk/runs.ts'
import { Transport } from '#sdk/transport.ts'
import type { RunView } from '#sdk/views/runs.ts'

const line = (seq: number, last: number) =>
  `data: ${JSON.stringify({ type: seq === last ? 'run.completed' : 'node.joined', run: 'run_1', seq, time: '' })}\n\n`

/** What a connection does: refuse, answer "not now", or tell some events from where it was asked, and perhaps some before. */
type Turn =
  | { readonly kind: 'down' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'tells'; readonly count: number; readonly again: number }

function coordinator(last: number, turns: readonly Turn[], clock = { now: 0 }) {
  let turn = 0
  const transport = new Transport({
    url: 'http://coordinator',
    fetch: async (_url, init) => {
      const now: Turn = turns[turn++] ?? { kind: 'tells', count: last + 1, again: 0 }
      if (now.kind === 'down') throw new TypeError('refused')
      if (now.kind === 'busy') return new Response('', { status: 503 })
      const after = Number(new Headers(init?.headers).get('last-event-id') ?? -1)
      const from = Math.max(0, after + 1 - now.again)
      const told = Array.from({ length: Math.min(now.count + now.again, last + 1 - from) }, (_, at) =>
        line(from + at, last),
      )
      return new Response(told.join(''))
    },
    doors: {
      now: () => clock.now,
      pause: async (millis) => {
        clock.now += millis
      },
    },
  })
  return { transport, clock }
}

test('every event is told once and in order, whatever becomes of the connection', async () => {
  const turn: fc.Arbitrary<Turn> = fc.oneof(
    fc.constant({ kind: 'down' } as const),
    fc.constant({ kind: 'busy' } as const),
    fc.record({ kind: fc.constant('tells' as const), count: fc.nat(5), again: fc.nat(3) }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.nat(20),
      fc.array(turn, { maxLength: 12 }),
      fc.integer({ min: -1, max: 20 }),
      async (last, turns, from) => {
        const after = Math.min(from, last - 1)
        const { transport } = coordinator(last, turns)
        const seqs = (await Array.fromAsync(follow(transport, 'run_1', { after }))).map(({ seq }) => seq)
        expect(seqs).toEqual(Array.from({ length: last - after }, (_, at) => after + 1 + at))
      },
    ),
    { numRuns: 100 },
  )
})

test('a coordinator that stays away is given up after five minutes, not before', async () => {
  const { transport, clock } = coordinator(3, Array<Turn>(1000).fill({ kind: 'down' }))
  await expect(Array.fromAsync(follow(transport, 'run_1'))).rejects.toBeInstanceOf(ConnectionError)
  expect(clock.now).toBeGreaterThan(300_000)
  expect(clock.now).toBeLessThan(320_000)
})

test('a stream that leaves an event out is taken up before it, and given up when it does so always', async () => {
  const gap = new Transport({
    url: 'http://coordinator',
    fetch: async () => new Response(line(0, 9) + line(2, 9)),
    doors: { pause: async () => undefined },
  })
  const seen: number[] = []
  const reading = async () => {
    for await (const { seq } of follow(gap, 'run_1')) seen.push(seq)
  }
  await expect(reading()).rejects.toMatchObject({ code: 'gap' })
  expect(seen).toEqual([0])
})

test('a coordinator that says that nothing follows (204) is not asked again', async () => {
  let asked = 0
  const transport = new Transport({
    url: 'http://coordinator',
    fetch: async () => (asked++ === 0 ? new Response(line(3, 9)) : new Response(null, { status: 204 })),
    doors: { pause: async () => (asked > 1 ? assert.fail('it was asked again') : undefined) },
  })
  expect((await Array.fromAsync(follow(transport, 'run_1', { after: 2 }))).map(({ seq }) => seq)).toEqual([3])
  expect(asked).toBe(2)
})

test.each([
  ['ordered while no round was open', { type: 'run.paused', reason: 'the night' }],
  ['ordered while a round was open, that then closed', { type: 'round.completed', round: 1, paused: 'the night' }],
])('done() is over once the run waits for its owner: a pause %s', async (_, told) => {
  const view = { id: 'run_1', status: 'paused', reason: 'the night' }
  const event = { run: 'run_1', seq: 1, time: '', ...told }
  const transport = new Transport({
    url: 'http://coordinator',
    fetch: async (url) =>
      String(url).endsWith('/events')
        ? new Response(`${line(0, 9)}data: ${JSON.stringify(event)}\n\n`)
        : Response.json(view),
    doors: { pause: async () => assert.fail('it waits for more') },
  })
  const run = new Run(transport, view as RunView)
  await expect(run.done()).rejects.toMatchObject({ status: 'paused', reason: 'the night' })
})

test('done() goes on where the run that was paused has been resumed since', async () => {
  const pause = { type: 'round.completed', run: 'run_1', seq: 1, time: '', round: 1, paused: 'the night' }
  const views = ['running', 'completed'].map((status) => ({ id: 'run_1', status, reason: null }))
  const transport = new Transport({
    url: 'http://coordinator',
    fetch: async (url) =>
      String(url).endsWith('/events')
        ? new Response(`${line(0, 2)}data: ${JSON.stringify(pause)}\n\n${line(2, 2)}`)
        : Response.json(views.shift()),
  })
  expect((await new Run(transport, views[0] as RunView).done()).view.status).toBe('completed')
})

test('whoever leaves the loop, or fires the signal, ends the stream', async () => {
  let cancelled = 0
  const endless = () =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(line(0, 9))),
        cancel: () => void cancelled++,
      }),
    )
  const transport = new Transport({ url: 'http://coordinator', fetch: async () => endless() })
  for await (const _ of follow(transport, 'run_1')) break
  expect(cancelled).toBe(1)
  const stop = new AbortController()
  for await (const _ of follow(transport, 'run_1', { signal: stop.signal })) stop.abort()
  expect(cancelled).toBe(2)
})
