import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { utf8 } from '#protocol/bytes.ts'
import { eventsIn } from '#sdk/sse.ts'

const event = (seq: number, note = '') => ({
  type: 'node.joined',
  run: 'run_1',
  seq,
  time: '2026-01-01T00:00:00Z',
  note,
})

function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new Uint8Array(piece))
      controller.close()
    },
  })
}

async function read(...pieces: readonly (string | Uint8Array)[]): Promise<unknown[]> {
  const bytes = pieces.map((piece) => (typeof piece === 'string' ? utf8(piece) : piece))
  return Array.fromAsync(eventsIn(streamOf(bytes)))
}

test('events are read whole however the network cuts them, in lines that end in any way', async () => {
  const cuts = fc.array(fc.nat(2000), { maxLength: 20 })
  const end = fc.constantFrom('\n', '\r\n', '\r')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 5 }),
      cuts,
      end,
      async (notes, places, newline) => {
        const events = notes.map((note, seq) => event(seq, note))
        const lines = events.flatMap((one) => [
          `id: ${one.seq}`,
          `event: ${one.type}`,
          `data: ${JSON.stringify(one)}`,
          '',
          '',
        ])
        const bytes = utf8([': hello', '', ...lines, ': the end', '', ''].join(newline))
        const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
        const pieces = at.slice(1).map((to, index) => bytes.slice(at[index], to))
        expect(await read(...pieces)).toEqual(events)
      },
    ),
    { numRuns: 60 },
  )
})

test('a line separator of Unicode ends no line', async () => {
  const odd = event(1, 'a\u2028b\u2029c')
  expect(await read(`data: ${JSON.stringify(odd)}\n\n`)).toEqual([odd])
})

test('data over several lines is one event, and what is no event of ours is passed over', async () => {
  const [first, rest] = [JSON.stringify(event(3)).slice(0, 20), JSON.stringify(event(3)).slice(20)]
  const lines = [
    'data: not json',
    '',
    `data:${JSON.stringify({ type: 'other' })}`,
    '',
    ': still here',
    '',
    `data: ${first}`,
    `data: ${rest}`,
  ]
  expect(await read(lines.join('\n'), '\n\n')).toEqual([])
  const spaced = JSON.stringify(event(4)).replace(',', ',\n').split('\n')
  expect(await read(spaced.map((line) => `data: ${line}\n`).join(''), '\n')).toEqual([event(4)])
})

test('an event that was cut off by the end of the stream is not told', async () => {
  expect(await read(`data: ${JSON.stringify(event(1))}\n\ndata: ${JSON.stringify(event(2))}\n`)).toEqual([event(1)])
})

test('a line without an end is refused, not collected for ever', async () => {
  await expect(read(...Array.from({ length: 40 }, () => 'x'.repeat(65_536)))).rejects.toThrow(/without an end/)
})

test('a stream is read where streams cannot be iterated over, as in WebKit, and is given back by whoever leaves early', async () => {
  const { prototype } = ReadableStream
  const iterating = Object.getOwnPropertyDescriptor(prototype, Symbol.asyncIterator) as PropertyDescriptor
  Reflect.deleteProperty(prototype, Symbol.asyncIterator)
  try {
    const said = utf8([1, 2, 3].map((seq) => `data: ${JSON.stringify(event(seq))}\n\n`).join(''))
    expect(await read(said)).toEqual([event(1), event(2), event(3)])
    let isGivenBack = false
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(new Uint8Array(said)),
      cancel: () => {
        isGivenBack = true
      },
    })
    for await (const { seq } of eventsIn(endless)) if (seq === 2) break
    expect(isGivenBack).toBe(true)
    const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: () => Promise.reject(new Error('it broke')) })
    await expect(Array.fromAsync(eventsIn(broken))).rejects.toThrow('it broke')
  } finally {
    Object.defineProperty(prototype, Symbol.asyncIterator, iterating)
  }
})
