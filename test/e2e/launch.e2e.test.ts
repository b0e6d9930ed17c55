import { execFile, spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type CoordinatorProcess,
  makeSite,
  type Site,
  startCoordinatorProcess,
  startNodeProcess,
  untilLinked,
} from '#cli/demo/federation.ts'
import type { ConsiliumProcess } from '#cli/demo/process.ts'
import { readTaskFile } from '#cli/task-file.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { MODEL_FORMATS } from '#protocol/formats/model-file.ts'
import { Consilium } from '#sdk/client.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import type { CreateRun, NewTask } from '#sdk/task.ts'
import { BIN } from '#test/cli/command.ts'
import { some } from '#test/effort.ts'
import { temporaryFolder } from '#test/folder.ts'
import { freePort } from '#test/loopback.ts'

/**
 * One federation of real processes on the patients of the worked example, for all clients: TypeScript (whose coordinator is
 * killed under it), curl alone, and the Python file alone.
 */
const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)
/** Longer than any restart takes: nobody leaves who was not killed. */
const GRACE_MILLIS = 60_000
const NODES = 3
const ROUNDS = 2
const told = await readTaskFile(join(root, 'examples/tabular/task.ts'), { note: () => undefined })
const order: CreateRun = {
  ...(told as CreateRun),
  ...{ rounds: ROUNDS, cohort: { min: NODES, max: NODES, quorum: NODES }, onFailures: 'end' },
}

const doors = new AsyncDisposableStack()
let folder = ''
let sites: readonly Site[] = []
let coordinator: CoordinatorProcess
let key = ''

const own = (process: ConsiliumProcess) => doors.use(process)
const port = await freePort()
const startCoordinator = () =>
  startCoordinatorProcess(
    join(folder, 'coordinator'),
    sites.map(({ id }) => id),
    { port, graceMillis: GRACE_MILLIS, own },
  )

beforeAll(async () => {
  folder = doors.use(await temporaryFolder()).path
  await run(process.execPath, [join(root, 'examples/tabular/data.ts'), join(folder, 'data')])
  sites = await Promise.all(
    Array.from({ length: NODES }, async (_, index): Promise<Site> => {
      const made = await makeSite(join(folder, `site-${index + 1}`), index + 1, sha256(utf8('launched')))
      return { ...made, data: { kind: 'csv', path: join(folder, `data/hospital-${index + 1}.csv`) } }
    }),
  )
  coordinator = await startCoordinator()
  key = (await readFile(coordinator.apiKeyFile, 'utf8')).trim()
  const nodes = await Promise.all(
    sites.map(async (site) => ({ site, process: own(await startNodeProcess(site, coordinator)) })),
  )
  await untilLinked(new Consilium({ url: coordinator.url, apiKey: key }), nodes, AbortSignal.timeout(60_000))
  await writeFile(join(folder, 'task.json'), JSON.stringify(order))
  // What the scripts find as the command of this name.
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'bin/consilium'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`)
  await chmod(join(folder, 'bin/consilium'), 0o755)
}, 120_000)
afterAll(() => doors.disposeAsync())

const isOnce = (events: readonly ApiEvent[]) =>
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index))

test('the SDK’s event loop goes on over a coordinator that is killed: every event once, and the model is what it says', async () => {
  const client = new Consilium({ url: coordinator.url, apiKey: key })
  const launched = await client.runs.create(order)
  const events: ApiEvent[] = []
  for await (const event of launched.events({ signal: AbortSignal.timeout(110_000) })) {
    events.push(event)
    if (event.type !== 'round.completed' || event['round'] !== 1) continue
    coordinator.process.signal('SIGKILL')
    await coordinator.process.ended
    coordinator = await startCoordinator()
  }
  isOnce(events)
  expect(events.at(-1)?.type).toBe('run.completed')
  const { view } = await launched.done()
  expect(view.evaluation?.accuracy).toBeGreaterThan(0.8)
  const model = await launched.model()
  expect(model.cid).toBe(view.model)
  expect(model.tensors.map(({ name }) => name)).toContain('dense_2/bias')
  expect(model.record).toEqual({ cid: view.manifest, coordinator: coordinator.key })
  const first = await launched.model({ round: 1 })
  expect(first.cid).not.toBe(model.cid)
  expect(first.record?.coordinator).toBe(coordinator.key)
  for (const format of MODEL_FORMATS) {
    const told = await client.transport.fetch(`/v1/runs/${launched.id}/model`, { query: { format } })
    expect(await model.file(format)).toEqual(new Uint8Array(await told.arrayBuffer()))
  }
  expect((await launched.metrics({ keys: ['accuracy'] }))['accuracy']).toContain(view.evaluation?.accuracy)
  const receipts = await Array.fromAsync(launched.receipts(1))
  expect(receipts.map(({ node }) => node).sort()).toEqual(sites.map(({ id }) => id).sort())
  expect(await launched.verify()).toMatchObject({ verdict: 'proved', root: view.manifest })
  const { task: cid } = await client.tasks.create(order.task as NewTask)
  expect(cid).toBe(view.task)
  const rounds = await Array.fromAsync(launched.rounds({ limit: 2 }))
  expect(rounds.map(({ round }) => round)).toEqual([1, 2, 3])
  expect((await Array.fromAsync(client.nodes.list({ which: 'linked', limit: 1 }))).length).toBe(NODES)
}, 120_000)

const scripts: readonly (readonly [tool: string, script: string, command: readonly string[]])[] = [
  ['curl', 'launch.sh', ['sh']],
  ['python3', 'launch.py', ['python3']],
]
for (const [tool, script, [command, ...rest]] of scripts) {
  const isThere = spawnSync(tool, ['--version']).status === 0
  if (!isThere) process.stderr.write(`skipped: ${script} launches a run (no ${tool} on the PATH)\n`)
  const may = isThere ? test : test.skip
  may(
    `${script}, with nothing but ${tool}, launches a run, follows it, and has a model that verifies`,
    async () => {
      const out = join(folder, script)
      const path = [join(folder, 'bin'), process.env['PATH']].join(delimiter)
      const env = { PATH: path, HOME: folder, CONSILIUM_COORDINATOR: coordinator.url, CONSILIUM_API_KEY: key }
      const args = [...rest, join(root, 'examples', script), join(folder, 'task.json'), out]
      const { stdout } = await run(command as string, args, { env })
      expect(stdout).toMatch(
        /^run +run_\w+\nended +(run\.)?completed after 3 rounds\nmodel +bafy\w+\nverified \d+ bytes\n$/,
      )
      const lines = (await readFile(join(out, 'events.ndjson'), 'utf8')).trimEnd().split('\n')
      isOnce(lines.map((line) => JSON.parse(line)))
    },
    120_000,
  )
}

// The scripts show in npm test that it can be done; the page's every block is run in the campaign.
for (const page of some(0, ['docs/sdk.md']))
  describe(page, () => {
    const environment = () => ({
      PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
      HOME: folder,
      PYTHONDONTWRITEBYTECODE: '1',
      CONSILIUM_COORDINATOR: coordinator.url,
      CONSILIUM_API_KEY: key,
    })
    const blocksOf = async (language: string) => {
      const page = await readFile(join(root, 'docs/sdk.md'), 'utf8')
      return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
        ([, code]) => code as string,
      )
    }

    test('has blocks in TypeScript that run in order, and then the one that verifies', async () => {
      const blocks = await blocksOf('ts')
      const code = blocks
        .join('')
        .replaceAll(
          /'consilium\/sdk(?:\/(\w+))?'/g,
          (_, name = 'client') => `'${pathToFileURL(join(root, `sdk/${name}.ts`)).href}'`,
        )
      await writeFile(join(folder, 'page.mts'), code)
      const { stdout } = await run(process.execPath, ['page.mts'], { cwd: folder, env: environment() })
      expect(stdout).toMatch(/^\[ 7 \] 1\n1 3\n2 3\n3 3\ncompleted 0\.\d+\n/)
      expect(stdout).toMatch(/\ntrue 3\n/)
      expect(stdout).toMatch(/'out\/model\.safetensors', 'out\/model\.npz', 'out\/model\.f32' \]\nz6Mk\w+\n/)
      expect(stdout).toMatch(
        /dense_2\/bias \[ 1 \] 1\n[\s\S]*\n404 not_found false req_\w+\n\[ 'runs:read' \]\nfalse\n$/,
      )
      const [verify] = await blocksOf('sh')
      const verified = await run('sh', ['-c', verify as string], { cwd: folder, env: environment() })
      expect(verified.stdout).toMatch(/ok/)
    }, 120_000)

    const python = spawnSync('python3', ['--version']).status === 0 ? test : test.skip
    python(
      'has blocks in Python that run in order, and a command that does all of it',
      async () => {
        await copyFile(join(root, 'sdk/python/consilium.py'), join(folder, 'consilium.py'))
        await writeFile(join(folder, 'page.py'), (await blocksOf('python')).join(''))
        const options = { cwd: folder, env: environment() }
        const { stdout } = await run('python3', ['page.py'], options)
        expect(stdout).toMatch(/^1 3\n2 3\n[\s\S]*dense_2\/bias \(1,\) 4\n404 not_found False\n$/)
        const [, command] = await blocksOf('sh')
        const followed = await run('sh', ['-c', command as string], options)
        expect(followed.stdout).toMatch(
          /^run_\w+\nround 1 {2}3\/3 reports\n[\s\S]*\nrun\.completed accuracy 0\.\d+\nmodel bafy\w+ out\.npz\n$/,
        )
      },
      120_000,
    )
  })
