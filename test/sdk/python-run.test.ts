import { execFile, spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '#test/folder.ts'

const SDK = join(process.cwd(), 'sdk/python')
const here = spawnSync('python3', ['--version']).status === 0 ? test : test.skip
const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV'

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }
type Served = AsyncDisposable & {
  readonly folder: string
  python(...args: readonly string[]): Promise<Ended>
}

/** Python in a folder of its own, beside a coordinator that answers as it is told. */
async function served(answer: RequestListener): Promise<Served> {
  const folder = await temporaryFolder()
  const server = createServer(answer)
  await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle))
  const env = {
    ...{ PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: SDK, CONSILIUM_API_KEY: 'key' },
    CONSILIUM_COORDINATOR: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  }
  return {
    folder: folder.path,
    python: (...args) =>
      new Promise((settle) => {
        const child = execFile('python3', args, { cwd: folder.path, env, timeout: 30_000 }, (_, stdout, stderr) =>
          settle({ code: child.exitCode, stdout, stderr }),
        )
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** A run that tells these events, each once, and then nothing for as long as anybody listens; its views in turn, the last for ever. */
function run(events: readonly object[], views: readonly object[]): RequestListener {
  let asked = 0
  const lines = events.map((event, seq) => `data: ${JSON.stringify({ run: RUN, seq, time: '', ...event })}\n\n`)
  return (request, response) => {
    const url = request.url ?? ''
    if (url.endsWith('/events')) return void response.write(lines.join(''))
    if (request.method === 'POST') return void response.end(JSON.stringify({ id: RUN }))
    response.end(JSON.stringify({ id: RUN, ...views[Math.min(asked++, views.length - 1)] }))
  }
}

const CLOSED = { type: 'round.completed', round: 1, reports: 3, cohort: 4 }
const ABORTED = { type: 'round.aborted', round: 1, reason: 'too-few-nodes' }
const followed = async (at: Served) => {
  await writeFile(join(at.folder, 'task.json'), '{}')
  return at.python(join(SDK, 'consilium.py'), 'run', 'task.json', '--follow')
}

here.each([
  {
    how: 'after a round that was aborted',
    events: [ABORTED, { type: 'run.paused', round: 1, reason: '1 round was aborted' }],
    lines: ['round 1  aborted: too-few-nodes', 'run.paused 1 round was aborted'],
  },
  {
    how: 'while a round was open, that then closed',
    events: [{ ...CLOSED, paused: 'the night' }],
    lines: ['round 1  3/4 reports', 'run.paused the night'],
  },
  {
    how: 'while no round was open',
    events: [{ type: 'run.paused', round: null, reason: 'the night' }],
    lines: ['run.paused the night'],
  },
])('a run that is paused $how is followed to there, by exit 13', async ({ events, lines }) => {
  await using at = await served(run(events, [{ status: 'paused', over: 1 }]))
  expect(await followed(at)).toEqual({ code: 13, stdout: `${[RUN, ...lines].join('\n')}\n`, stderr: '' })
})

here('a run that was paused and has been resumed since is followed on', async () => {
  const events = [
    { ...CLOSED, paused: 'the night' },
    { type: 'run.resumed' },
    { type: 'run.failed', reason: 'no more' },
  ]
  await using at = await served(run(events, [{ status: 'running', over: 1 }]))
  const stdout = `${[RUN, 'round 1  3/4 reports', 'run.failed no more'].join('\n')}\n`
  expect(await followed(at)).toEqual({ code: 7, stdout, stderr: '' })
})

here('a run that has ended is not asked again and again what follows its end', async () => {
  await using at = await served((_, response) => response.writeHead(204).end())
  const script = `import os, consilium
client = consilium.Consilium(os.environ["CONSILIUM_COORDINATOR"], "key")
print(list(client.follow("${RUN}", after=9)))`
  expect(await at.python('-c', script)).toEqual({ code: 0, stdout: '[]\n', stderr: '' })
})

here.each(['chunks', 'a length'])(
  'of a record that is cut off no file is left, and what was there stays: sent by %s',
  async (how) => {
    let cut = true
    await using at = await served((_, response) => {
      if (how === 'a length') response.setHeader('content-length', 'half a record'.length)
      response.write('half ', () => (cut ? response.destroy() : response.end('a record')))
    })
    const script = `import os, consilium
client = consilium.Consilium(os.environ["CONSILIUM_COORDINATOR"], "key", pause=lambda seconds: None)
try:
    client.save_bundle("${RUN}", "run.car")
except consilium.Unreachable as cause:
    print("cut off")`
    await writeFile(join(at.folder, 'run.car'), 'of yesterday')
    expect(await at.python('-c', script)).toEqual({ code: 0, stdout: 'cut off\n', stderr: '' })
    expect(await readdir(at.folder)).toEqual(['run.car'])
    expect(await readFile(join(at.folder, 'run.car'), 'utf8')).toBe('of yesterday')
    cut = false
    expect(await at.python('-c', script)).toMatchObject({ code: 0, stdout: '' })
    expect(await readFile(join(at.folder, 'run.car'), 'utf8')).toBe('half a record')
  },
)
