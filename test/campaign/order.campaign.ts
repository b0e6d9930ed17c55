import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { CreateRun } from '#sdk/task.ts'
import { jsonLines } from '#test/cli/command.ts'
import { Shell } from '#test/cli/shell.ts'
import { Cluster } from '#test/e2e/cluster.ts'
import { writeHospitals } from '#test/e2e/hospitals.ts'
import { temporaryFolder } from '#test/folder.ts'

test('the same seed and data make the model of virtual sites also when nodes start, link and answer in another order', async () => {
  await using folder = await temporaryFolder()
  await using shell = new Shell()
  await writeHospitals(folder.path, 4)
  const data = ['--data', folder.path, '--label', 'sick', '--seed', 'tested', '--rounds', '2', '--json']
  const virtual = await shell.run([
    'sim',
    ...data,
    '--masking',
    'secagg/1',
    '--bundle',
    join(folder.path, 'bundle.car'),
  ])
  expect(virtual).toMatchObject({ code: 0, stderr: '' })
  await using cluster = await Cluster.open({ seed: 'tested', nodes: 4, rounds: 2 })
  await cluster.startNodes(cluster.sites.toReversed())
  const run = await cluster.api.runs.create(cluster.launch as CreateRun)
  expect((await run.done({ signal: AbortSignal.timeout(120_000) })).view).toMatchObject({
    status: 'completed',
    model: jsonLines(virtual.stdout).at(-1)?.['model'],
  })
}, 300_000)

test('the same order launched twice over nodes that remember the first makes the same model again', async () => {
  await using cluster = await Cluster.open({ seed: 'twice', nodes: 3, rounds: 2 })
  await cluster.startNodes(cluster.sites)
  const ends: unknown[] = []
  for (const _ of [1, 2]) {
    const run = await cluster.api.runs.create(cluster.launch as CreateRun)
    for await (const event of run.events({ signal: AbortSignal.timeout(120_000) })) {
      if (event.type === 'node.declined') throw new Error(`a node declines: ${event['reason']}`)
      if (event.type === 'run.completed') ends.push(event['model'])
    }
  }
  expect(ends).toHaveLength(2)
  expect(ends[1]).toBe(ends[0])
}, 300_000)
