import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { publicKey } from '#crypto'
import { nodeIdOf } from '#protocol/ids.ts'
import { consilium, jsonLines, type Ran } from '#test/cli/command.ts'
import { Shell } from '#test/cli/shell.ts'
import { alone, dialsIn, outside, recorded } from './dials.ts'
import { writeHospitals } from './hospitals.ts'

/**
 * Four real nodes of which one is killed, two rounds, 160 rows: everything that the big demo does, in seconds; and whom it
 * speaks with. What nobody was killed in is made in another way: what both have in common is the same model. Nodes that start
 * and link in another order are order.campaign.ts's.
 */
let folder = ''
let ran: Ran
let virtual: Ran
const shell = new Shell()
const SAME = ['--label', 'sick', '--seed', 'tested', '--rounds', '2', '--json']
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'consilium-demo-'))
  await writeHospitals(join(folder, 'data'), 4)
  const data = ['--data', join(folder, 'data'), ...SAME]
  const through = [...alone, ...recorded(join(folder, 'dials'))]
  const demo = consilium(['demo', ...data, '--folder', join(folder, 'first'), '--chaos'], { through })
  const sim = shell.run(['sim', ...data, '--masking', 'secagg/1', '--bundle', join(folder, 'virtual.car')])
  ;[ran, virtual] = [await demo, await sim]
}, 180_000)
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const completed = ({ stdout }: Ran) => jsonLines(stdout).filter(({ type }) => type === 'round.completed')
const last = ({ stdout }: Ran): Record<string, unknown> => jsonLines(stdout).at(-1) ?? {}

test('a demo ends well, and its last line says all that is promised and nothing else', () => {
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  const model = expect.stringMatching(/^bafy[a-z2-7]{55}$/)
  expect(last(ran)).toEqual({
    ...{ type: 'run.completed', rounds: 2, nodes: 4, accuracy: expect.any(Number), model },
    ...{ bundle: join(folder, 'first/bundle.car'), verify: { ok: true, model: last(ran)['model'] } },
    figures: [{ name: 'auroc', value: expect.any(Number), within: expect.any(Number) }],
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

test('a demo speaks with nobody but itself: its coordinator, its nodes and their workers', async () => {
  const dials = await dialsIn(join(folder, 'dials'))
  expect(outside(dials)).toEqual([])
  expect(dials.length).toBeGreaterThan(10)
})

test('a node that is killed after it shared its keys does not stop the round: the others take its masks off their sum', () => {
  const lines = jsonLines(ran.stdout)
  expect(lines.filter(({ type }) => type === 'node.gone')).toEqual([
    expect.objectContaining({ site: 'site-4', how: 'SIGKILL' }),
  ])
  expect(completed(ran).map(({ round, cohort, reports }) => [round, cohort, reports])).toEqual([
    [1, 4, 4],
    [2, 4, 3],
    [3, 3, 3],
  ])
  // It was in U2: everybody had masked against it when it died.
  const gone = lines.find(({ type, round }) => type === 'node.gone' || (type === 'node.left' && round === 2))
  expect(lines.filter(({ type, round }) => type === 'keys.agreed' && round === 2)).toHaveLength(4)
  expect(lines.find(({ type, round }) => type === 'session.shared' && round === 2)).toMatchObject({ out: [] })
  expect(gone).toBeDefined()
})

describe('the same seed and data', () => {
  test('make the model, of virtual sites in one process, that separate processes made while all of them lived', async () => {
    expect(virtual).toMatchObject({ code: 0, stderr: '' })
    const said = { type: 'sim.finished', ok: true, outcome: 'completed', sites: 4, bundle: join(folder, 'virtual.car') }
    expect(last(virtual)).toMatchObject(said)
    expect((await shell.run(['verify', said.bundle, '--json'])).code).toBe(0)
    expect(completed(virtual)[0]?.['model']).toEqual(expect.stringMatching(/^bafy/))
    expect(completed(virtual)[0]?.['model']).toBe(completed(ran)[0]?.['model'])
  })
})

describe('consilium verify, on the bundle of a real run', () => {
  const bundle = () => join(folder, 'first/bundle.car')
  const verify = async (...args: readonly string[]) => {
    const { code, stdout } = await shell.run(['verify', ...args, '--json'])
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
