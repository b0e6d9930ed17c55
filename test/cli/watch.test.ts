import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from '@jest/globals'
import { request } from '#test/coordinator/live.ts'
import { BIN } from './command.ts'
import { checkPrinted } from './printed.ts'

const env = { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8' }

function started(args: readonly string[]): { readonly child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stderr?.resume()
  const { stdout } = child
  if (!stdout) throw new Error('it has no output')
  return { child, lines: createInterface(stdout)[Symbol.asyncIterator]() }
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode
}

test('a coordinator that is killed under run --watch and comes back is followed on: no event is missing, none is there twice', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'consilium-watch-'))
  const state = ['--state', join(folder, 'state')]
  const up = (port: string) =>
    started([
      'coordinator',
      'up',
      '--open',
      '--no-lend',
      '--json',
      '--tethered',
      '--grace',
      '100',
      '--port',
      port,
      ...state,
    ])
  const children: ChildProcess[] = []
  try {
    const first = up('0')
    children.push(first.child)
    const ready = (await first.lines.next()).value
    checkPrinted(['coordinator', 'up', '--json'], { stdout: ready })
    const { url } = JSON.parse(ready)
    // Nobody is there to train: round after round is aborted, which is all that has to happen.
    const task = join(folder, 'task.json')
    await writeFile(task, JSON.stringify(request({ timing: { selectionMillis: 50 }, failuresMax: 12 })))
    const watch = started(['run', task, '--watch', '--json', '--coordinator', url, ...state])
    children.push(watch.child)
    const events: { seq: number; type: string }[] = []
    let second: ReturnType<typeof up> | undefined
    for (let read = await watch.lines.next(); !read.done; read = await watch.lines.next()) {
      checkPrinted(['run', '--json'], { stdout: read.value })
      events.push(JSON.parse(read.value))
      if (events.length !== 5) continue
      first.child.kill('SIGKILL')
      await ended(first.child)
      second = up(new URL(url).port)
      children.push(second.child)
    }
    expect(await ended(watch.child)).toBe(7)
    expect(second).toBeDefined()
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index))
    expect(events.at(-1)).toMatchObject({ type: 'run.failed' })
    expect(events.filter(({ type }) => type === 'round.aborted')).toHaveLength(12)
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
})
