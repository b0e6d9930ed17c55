import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from '@jest/globals'
import { coordinator } from '#test/client/bench.ts'
import { temporaryFolder } from '#test/folder.ts'
import { BIN, jsonLines } from './command.ts'
import { checkPrinted } from './printed.ts'
import { Shell } from './shell.ts'

/** A node whose coordinator is nowhere: what whoever runs it wants does not depend on one. */
class NodeUp {
  readonly #child
  readonly #lines
  readonly ended

  constructor(state: string, data: string, ...more: readonly string[]) {
    const to = ['--coordinator', 'http://127.0.0.1:9', '--coordinator-key', coordinator.id, '--population', 'open']
    const flags = ['--state', state, '--data', data, '--backend', 'cpu', '--json', ...to, ...more]
    this.#child = spawn(process.execPath, [BIN, 'node', 'up', ...flags], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null)
  }

  /** What it says next of this kind of thing. */
  async says(...types: readonly string[]): Promise<Record<string, unknown>> {
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error(`it ended and said no ${types.join(' or ')}`)
      checkPrinted(['node', 'up', '--json'], { stdout: value })
      const said = JSON.parse(value) as Record<string, unknown>
      if (types.includes(String(said['type']))) return said
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }
}

const CONDUCT = ['node.paused', 'node.resumed', 'node.draining', 'node.stopped', 'node.unclear']

test('a node does what whoever runs it says, by command and by file, and tells of it', async () => {
  await using folder = await temporaryFolder()
  await using shell = new Shell({ cwd: folder.path })
  const [state, data] = [join(folder.path, 'site-1'), join(folder.path, 'site.csv')]
  await writeFile(data, `x,y,z\n${'1,2,0\n3,4,1\n'.repeat(20)}`)
  await mkdir(join(folder.path, 'etc'))
  const stopFile = join(folder.path, 'etc/STOP')

  const none = await shell.run(['node', 'pause', '--state', state])
  expect(none).toMatchObject({ code: 4, stderr: expect.stringMatching(/^error {2}no_node/) })
  const nowhere = ['node', 'up', '--data', data, '--population', 'open', '--coordinator-key', coordinator.id]
  for (const wrong of [
    ['--stop-file', 'nowhere/STOP'],
    ['--cpu-share', '0%'],
    ['--cpu-share', '101%'],
    ['--cpu-share', '0.5'],
  ])
    expect(await shell.run([...nowhere, ...wrong])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bad_value'),
    })
  await shell.run(['node', 'id', '--state', state])
  const set = (verb: string, ...more: readonly string[]) => shell.run(['node', verb, '--state', state, ...more])
  // Before it starts, and of an earlier process: the one counts, the other does not.
  expect(await set('pause')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^paused /) })
  await set('drain')

  const node = new NodeUp(state, data, '--stop-file', stopFile, '--cpu-share', '50%')
  const next = () => node.says(...CONDUCT)
  expect(await next()).toMatchObject({ type: 'node.paused', reason: 'asked' })
  await writeFile(stopFile, '')
  expect(await next()).toMatchObject({ type: 'node.stopped', reason: 'stop-file' })
  await rm(stopFile)
  expect(await next()).toMatchObject({ type: 'node.paused' })
  const [resumed] = jsonLines((await set('resume', '--json')).stdout)
  expect(resumed).toEqual({ state, switched: 'resume' })
  expect(await next()).toMatchObject({ type: 'node.resumed', time: expect.stringMatching(/^\d{4}-/) })
  expect(await set('drain')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^draining /) })
  expect(await next()).toMatchObject({ type: 'node.draining' })
  expect(await node.ended).toBe(0)

  // The drain was for that process. Ctrl-C drains, too, and a shell is told that it was that.
  const again = new NodeUp(state, data)
  await again.says('node.ready')
  again.signal('SIGINT')
  expect(await again.says(...CONDUCT)).toMatchObject({ type: 'node.draining' })
  expect(await again.ended).toBe(130)
}, 120_000)
