import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { publicKey } from '#crypto'
import { nodeIdOf } from '#protocol/ids.ts'
import { consilium, jsonLines, type Ran } from '#test/cli/command.ts'
import { Cluster } from './cluster.ts'
import { writeHospitals } from './hospitals.ts'

/** Four real nodes, two rounds, 160 rows: everything that the big demo does, in seconds. */
let folder = ''
let ran: Ran
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'consilium-demo-'))
  await writeHospitals(join(folder, 'data'), 4)
  ran = await demo('first', '--rounds', '2')
}, 60_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

function demo(name: string, ...more: readonly string[]): Promise<Ran> {
  const data = ['--data', join(folder, 'data'), '--label', 'sick']
  return consilium(['demo', ...data, '--folder', join(folder, name), '--seed', 'tested', '--json', ...more])
}

const last = ({ stdout }: Ran): Record<string, unknown> => jsonLines(stdout).at(-1) ?? {}

test('a demo ends well, and its last line says all that is promised and nothing else', () => {
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  const model = expect.stringMatching(/^bafy[a-z2-7]{55}$/)
  expect(last(ran)).toEqual({
    ...{ type: 'run.completed', rounds: 2, nodes: 4, accuracy: expect.any(Number), model },
    ...{ bundle: join(folder, 'first/bundle.car'), verify: { ok: true, model: last(ran)['model'] } },
    ledger: { budget: '1000000', paid: '1000000', released: '0' },
    ...{ backend: 'wasm', masking: 'secagg/1' },
  })
})

test('a demo says first what it protects, and every event is one line', () => {
  const lines = jsonLines(ran.stdout)
  expect(lines[0]).toMatchObject({ type: 'demo.started', masking: 'secagg/1', seed: 'tested' })
  expect(lines.map(({ type }) => type)).toContain('round.completed')
  expect(lines.filter(({ type }) => type === 'run.completed')).toHaveLength(1)
})

test('a demo keeps the key of each site to its owner, and no key is in what its processes wrote', async () => {
  for (const site of ['site-1', 'site-2', 'site-3', 'site-4']) {
    const names = await readdir(join(folder, 'first', site))
    expect(names).toEqual(expect.arrayContaining(['node.key', 'receipts.ndjson', 'stderr.log']))
    expect(await readFile(join(folder, 'first', site, 'stderr.log'), 'utf8')).toBe('')
  }
  const key = await readFile(join(folder, 'first/coordinator/api-key'), 'utf8')
  expect(ran.stdout).not.toContain(key)
})

test('the same seed gives the same model when nodes start, link and answer in another order', async () => {
  await using cluster = await Cluster.open({ seed: 'tested', nodes: 4, rounds: 2 })
  await cluster.startNodes(cluster.sites.toReversed())
  const { id } = await cluster.api.launch(JSON.stringify(cluster.launch), undefined)
  for await (const _ of cluster.api.events(id, AbortSignal.timeout(60_000)));
  const run = await cluster.api.run(id)
  expect(run).toMatchObject({ status: 'completed', model: last(ran)['model'] })
}, 90_000)

test('virtual sites in one process, of the same seed and data, make the model that these separate processes made', async () => {
  const bundle = join(folder, 'virtual.car')
  const flags = ['--data', join(folder, 'data'), '--label', 'sick', '--seed', 'tested', '--rounds', '2']
  const virtual = await consilium(['sim', ...flags, '--masking', 'secagg/1', '--bundle', bundle, '--json'])
  expect(virtual).toMatchObject({ code: 0, stderr: '' })
  const { model } = last(ran)
  expect(last(virtual)).toMatchObject({ type: 'sim.finished', ok: true, outcome: 'completed', sites: 4, model, bundle })
  expect((await consilium(['verify', bundle, '--json'])).code).toBe(0)
}, 60_000)

test('a node that is killed after it shared its keys does not stop the round: the others take its masks off their sum', async () => {
  const struck = await demo('chaos', '--rounds', '2', '--chaos')
  expect(struck.code).toBe(0)
  const lines = jsonLines(struck.stdout)
  expect(lines.filter(({ type }) => type === 'node.gone')).toEqual([
    expect.objectContaining({ site: 'site-4', how: 'SIGKILL' }),
  ])
  const rounds = lines.filter(({ type }) => type === 'round.completed')
  expect(rounds.map(({ round, cohort, reports }) => [round, cohort, reports])).toEqual([
    [1, 4, 4],
    [2, 4, 3],
    [3, 3, 3],
  ])
  // It was in U2: everybody had masked against it when it died.
  const gone = lines.find(({ type, round }) => type === 'node.gone' || (type === 'node.left' && round === 2))
  expect(lines.filter(({ type, round }) => type === 'keys.agreed' && round === 2)).toHaveLength(4)
  expect(lines.find(({ type, round }) => type === 'session.shared' && round === 2)).toMatchObject({ out: [] })
  expect(gone).toBeDefined()
  expect(last(struck)).toMatchObject({ type: 'run.completed', verify: { ok: true }, ledger: { paid: '1000000' } })
}, 90_000)

describe('consilium verify, on the bundle of a real run', () => {
  const bundle = () => join(folder, 'first/bundle.car')
  const verify = async (...args: readonly string[]) => {
    const { code, stdout } = await consilium(['verify', ...args, '--json'])
    return { code, verdict: jsonLines(stdout)[0] ?? {} }
  }

  test('accepts it, unpinned unless the coordinator is named', async () => {
    const unpinned = await verify(bundle())
    expect(unpinned).toMatchObject({ code: 0, verdict: { ok: true, pinned: false, model: last(ran)['model'] } })
    const pinned = await verify(bundle(), '--coordinator', String(unpinned.verdict['coordinator']))
    expect(pinned).toMatchObject({ code: 0, verdict: { ok: true, pinned: true } })
  })

  test('refuses it under the key of another coordinator', async () => {
    const other = nodeIdOf(publicKey(new Uint8Array(32).fill(7)))
    expect(await verify(bundle(), '--coordinator', other)).toMatchObject({
      code: 8,
      verdict: { ok: false, step: 'coordinator' },
    })
  })

  test.each([
    ['the first', 0, 'container'],
    ['one in the middle', 0.5, /^(block|container)$/],
    ['the last', 1, 'block'],
  ])('refuses it after one byte was changed: %s', async (_which, share, step) => {
    const bytes = await readFile(bundle())
    const at = Math.floor((bytes.length - 1) * share)
    bytes.writeUInt8((bytes.at(at) as number) ^ 0x10, at)
    const path = join(folder, `changed-${share}.car`)
    await writeFile(path, bytes)
    const { code, verdict } = await verify(path)
    expect({ code, ok: verdict['ok'] }).toEqual({ code: 8, ok: false })
    expect(verdict['step']).toMatch(step)
  })

  test('redoes it from the folder of blocks that the coordinator keeps', async () => {
    const { verdict } = await verify(bundle())
    const blocks = join(folder, 'first/coordinator')
    const again = await verify(blocks, '--run', String(verdict['root']))
    expect(again).toMatchObject({ code: 0, verdict: { ok: true, model: verdict['model'] } })
    const round = await verify(blocks, '--run', String(verdict['root']), '--round', '2')
    expect(round).toMatchObject({ code: 0, verdict: { ok: true, kind: 'round', start: { round: 1 } } })
  })
})
