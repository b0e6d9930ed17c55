import { expect, test } from '@jest/globals'
import { live } from '#test/coordinator/live.ts'
import { jsonLines } from './command.ts'
import { Shell } from './shell.ts'

test('a run that is paused says so, why and what to do; and does what its owner then decides', async () => {
  await using at = await live()
  const env = { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: at.state }
  await using shell = new Shell({ env })
  const run = (...args: string[]) => shell.run(args)
  const order = { timing: { selectionMillis: 60 }, failuresMax: 1, onFailures: 'pause' }
  const { id } = (await (await at.launch(order)).json()) as { id: string }

  const watched = await run('runs', 'watch', id)
  expect(watched).toMatchObject({ code: 13, stdout: expect.stringContaining('round=1/1 aborted="too-few-nodes"') })
  expect(watched.stderr).toContain(`${id} is paused: 1 round was aborted, the last one: too-few-nodes  (exit 13)`)
  expect(watched.stderr).toContain(`consilium runs show ${id} --round 1`)

  const shown = await run('runs', 'show', id)
  expect(shown).toMatchObject({ code: 0, stderr: expect.stringContaining(`consilium runs resume ${id}`) })
  expect(shown.stdout).toMatch(/^status +paused: 1 round was aborted, the last one: too-few-nodes$/m)
  expect(shown.stdout).toMatch(/^1 +train +aborted +- +\S+( ms| s) +too-few-nodes in selection$/m)
  const [data] = jsonLines((await run('runs', 'show', id, '--json')).stdout)
  expect(data).toMatchObject({ status: 'paused', history: [{ round: 1, outcome: 'aborted', reason: 'too-few-nodes' }] })
  expect((await run('runs', 'show', id, '--round', '1')).stdout).toContain('no seats: the cohort was not drawn')
  expect(jsonLines((await run('runs', 'show', id, '--round', '1', '--json')).stdout)).toMatchObject([{ seats: [] }])
  expect(await run('runs', 'show', id, '--round', '7')).toMatchObject({ code: 4 })

  expect(await run('runs', 'resume', id)).toMatchObject({ code: 0, stdout: expect.stringContaining('running') })
  const again = await run('runs', 'watch', id, '--json')
  expect(again.code).toBe(13)
  expect(jsonLines(again.stdout).filter(({ type }) => type === 'run.paused')).toMatchObject([
    { round: 1 },
    { round: 2 },
  ])

  const stopped = await run('runs', 'stop', id, '--reason', 'enough', '--json')
  expect(jsonLines(stopped.stdout)).toMatchObject([{ id, reason: 'enough' }])
  const end = await run('runs', 'watch', id)
  expect(end).toMatchObject({ code: 14, stderr: expect.stringContaining(`${id} was stopped: enough`) })
  expect(await run('runs', 'resume', id)).toMatchObject({ code: 5, stderr: expect.stringContaining('run_ended') })
  expect((await run('verify', at.coordinator.url, '--run', id)).stdout).toContain('stopped: enough')
}, 60_000)
