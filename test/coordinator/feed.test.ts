import { expect, test } from '@jest/globals'
import { live, RawNode } from './live.ts'

test('the feed tells which runs go on and how many nodes are linked, and begins with a reset', async () => {
  await using at = await live()
  expect((await at.api('/v1/events')).status).toBe(406)
  const feed = await at.api('/v1/events', { headers: { accept: 'text/event-stream' } })
  expect(feed.status).toBe(200)
  const { id } = (await (await at.launch({ timing: { selectionMillis: 4000 } })).json()) as { readonly id: string }
  await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'one')
  expect(await node.link()).toBe('linked')
  const told: Record<string, unknown>[] = []
  let text = ''
  const isWhole = () => told.some(({ linked }) => linked === 1) && told.some(({ seq }) => Number(seq) >= 2)
  const stream = feed.body as ReadableStream<Uint8Array<ArrayBuffer>>
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines)
      if (line.startsWith('data: ')) told.push(JSON.parse(line.slice(6)) as Record<string, unknown>)
    if (isWhole()) break
  }
  expect(told[0]).toEqual({ type: 'reset' })
  const ofRun = told.filter(({ type }) => type === 'run.event')
  expect(ofRun.every(({ run }) => run === id)).toBe(true)
  expect(ofRun.map(({ seq }) => Number(seq))).toEqual([...ofRun.map(({ seq }) => Number(seq))].sort((a, b) => a - b))
  expect(told).toContainEqual({ type: 'nodes.changed', linked: 1 })
})
