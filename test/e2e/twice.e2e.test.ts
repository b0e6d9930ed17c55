import { expect, test } from '@jest/globals'
import { times } from '#test/effort.ts'
import { Cluster } from './cluster.ts'

test('the same order launched twice over nodes that remember the first makes the same model again', async () => {
  await using cluster = await Cluster.open({ seed: 'twice', nodes: 3, rounds: times(1, 2) })
  await cluster.startNodes(cluster.sites)
  const ends: unknown[] = []
  for (const _ of [1, 2]) {
    const { id } = await cluster.api.launch(JSON.stringify(cluster.launch), undefined)
    for await (const event of cluster.api.events(id, AbortSignal.timeout(30_000))) {
      if (event.type === 'node.declined') throw new Error(`a node declines: ${event['reason']}`)
      if (event.type === 'run.completed') ends.push(event['model'])
    }
  }
  expect(ends).toHaveLength(2)
  expect(ends[1]).toBe(ends[0])
}, 90_000)
