import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Cid } from '#protocol/ids.ts'
import { temporaryFolder } from '#test/folder.ts'
import { type RecordedRun, recordRun } from '#test/verify/fixture.ts'
import { fileUnder } from '#test/verify/store.ts'
import { consilium } from './command.ts'
import { Shell } from './shell.ts'

const shell = new Shell()
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let run: RecordedRun
let other: RecordedRun
let round: Cid
const at = (...names: readonly string[]) => join(folder.path, ...names)

beforeAll(async () => {
  folder = await temporaryFolder()
  run = await recordRun()
  other = await recordRun({ absent: { 2: [1] } })
  round = run.manifest.rounds[1]?.manifest as Cid
  await mkdir(at('blocks'))
  for (const [cid, bytes] of run.blocks) await writeFile(at('blocks', cid), bytes)
  await writeFile(at('run.car'), await run.file())
  await writeFile(at('other.car'), await other.file())
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function ran(...args: readonly string[]) {
  const { code, stdout, stderr } = await shell.run([...args, '--json'])
  const text = stdout || stderr
  return { code, said: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) }
}

const exported = (name: string, ...args: readonly string[]) => ran('bundles', 'export', ...args, '--out', at(name))

describe('bundles export', () => {
  test('writes the same bytes from a folder, a bundle, and without vectors', async () => {
    const whole = await run.file()
    expect(await exported('a.car', run.root, '--from', at('blocks'))).toMatchObject({
      ...{ code: 0, said: { root: run.root, kind: 'run', vectors: true, bytes: whole.length } },
    })
    expect(await readFile(at('a.car'))).toEqual(Buffer.from(whole))
    expect(await exported('b.car', '--from', at('a.car'))).toMatchObject({ code: 0 })
    expect(await readFile(at('b.car'))).toEqual(Buffer.from(whole))
    const short = Buffer.from(await fileUnder(run.root, run.blocks, { vectors: false }))
    expect(await exported('c.car', run.root, '--from', at('blocks'), '--without-vectors')).toMatchObject({ code: 0 })
    expect(await exported('d.car', '--from', at('run.car'), '--without-vectors')).toMatchObject({ code: 0 })
    for (const name of ['c.car', 'd.car']) expect(await readFile(at(name))).toEqual(short)
  })

  test('takes a round by its number in the run or by its CID, and the file is verified by itself', async () => {
    const expected = Buffer.from(await fileUnder(round, run.blocks))
    await exported('round-2.car', '--from', at('run.car'), '--round', '2')
    await exported('by-cid.car', round, '--from', at('blocks'))
    for (const name of ['round-2.car', 'by-cid.car']) expect(await readFile(at(name))).toEqual(expected)
    const { code, stdout } = await consilium(['verify', at('round-2.car'), '--coordinator', run.coordinator.id])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^round {8}2, train, closed$/m)
    expect(stdout).toMatch(/^start {8}as the parent's manifest says \(round 1, bafy/m)
    expect(stdout).toMatch(/^verify {7}ok \(pinned\); one round: /m)
    expect(await ran('verify', at('run.car'), '--round', '2')).toMatchObject({
      said: { kind: 'round', ok: true, root: round, start: { kind: 'as-the-parent-says', round: 1 } },
    })
  })

  test('replaces no file unasked, and leaves nothing behind when a block is missing', async () => {
    await writeFile(at('mine.car'), 'mine')
    expect(await exported('mine.car', '--from', at('run.car'))).toMatchObject({
      code: 5,
      said: { code: 'file_exists' },
    })
    expect(await readFile(at('mine.car'), 'utf8')).toBe('mine')
    expect(await exported('mine.car', '--from', at('run.car'), '--force')).toMatchObject({ code: 0 })
    const before = await readdir(folder.path)
    await exported('short.car', '--from', at('run.car'), '--without-vectors')
    const full = await exported('full.car', '--from', at('short.car'))
    expect(full).toMatchObject({
      ...{ code: 8, said: { code: 'bad_block', fix: expect.stringContaining('--without-vectors') } },
    })
    expect((await readdir(folder.path)).toSorted()).toEqual([...before, 'short.car'].toSorted())
    expect(await exported('none.car', other.root, '--from', at('blocks'))).toMatchObject({ code: 4 })
    expect(await exported('none.car', '--from', at('run.car'), '--round', '9')).toMatchObject({ code: 4 })
  })
})

describe('verify --without-vectors', () => {
  test('has to be asked for, and says loudly what it did not add up', async () => {
    await writeFile(at('bare.car'), await fileUnder(run.root, run.blocks, { vectors: false }))
    const unasked = await shell.run(['verify', at('bare.car')])
    expect(unasked).toMatchObject({ code: 8, stdout: expect.stringMatching(/FAILED at vector: .*--without-vectors/) })
    const { code, stdout } = await shell.run(['verify', at('bare.car'), '--without-vectors', '--expect', run.root])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^sums {9}0 of 3 recomputed from their vectors, 3 as the coordinator signed them, for their/m,
    )
    expect(stdout).toMatch(/^verify {7}ok \(pinned\), 3 sums not added up$/m)
    const { said } = await ran('verify', at('bare.car'), '--without-vectors')
    expect(said).toMatchObject({ ok: true, rounds: Array(3).fill({ vectors: 'expired' }) })
  })
})

describe('bundles import', () => {
  test('makes a folder from which the record is verified and exported again, byte for byte', async () => {
    expect(await ran('bundles', 'import', at('run.car'), '--into', at('state'))).toMatchObject({ code: 0 })
    expect(await ran('verify', at('state'), '--run', run.root)).toMatchObject({ code: 0, said: { ok: true } })
    await exported('again.car', run.root, '--from', at('state'))
    expect(await readFile(at('again.car'))).toEqual(Buffer.from(await run.file()))
  })

  test('keeps nothing of what does not hold, or is of another coordinator', async () => {
    const broken = Buffer.from(await run.file())
    broken[broken.length - 1] = (broken[broken.length - 1] as number) ^ 1
    await writeFile(at('broken.car'), broken)
    const stranger = other.nodes[0]?.id as string
    expect(await ran('bundles', 'import', at('broken.car'), '--into', at('empty'))).toMatchObject({ code: 8 })
    const pinned = ['--coordinator', stranger]
    expect(await ran('bundles', 'import', at('run.car'), '--into', at('empty'), ...pinned)).toMatchObject({ code: 8 })
    expect(await readdir(folder.path)).not.toContain('empty')
  })
})

describe('bundles diff', () => {
  test('of one record exits 0, with vectors or without; of two it exits 1 and says in what they differ', async () => {
    await writeFile(at('thin.car'), await fileUnder(run.root, run.blocks, { vectors: false }))
    expect(await ran('bundles', 'diff', at('run.car'), at('thin.car'))).toMatchObject({
      ...{ code: 0, said: { same: true, only: { b: { blocks: 0, bytes: 0 } } } },
    })
    const { code, said } = await ran('bundles', 'diff', at('run.car'), at('other.car'))
    expect({ code, same: said['same'] }).toEqual({ code: 1, same: false })
    const what = (said['differences'] as { what: string }[]).map((difference) => difference.what)
    expect(what).toContain('model')
    const absent = run.nodes[1]?.id
    expect(said['differences']).toContainEqual(
      expect.objectContaining({ what: `round 2, ${absent}`, b: 'no update: left' }),
    )
    expect(what.some((name) => name.startsWith('round 1'))).toBe(false)
  })
})

describe('bundles show', () => {
  test('says what a bundle is, and what Filecoin calls it', async () => {
    const { said } = await ran('bundles', 'show', at('run.car'), '--piece')
    const file = await run.file()
    expect(said).toMatchObject({
      ...{ root: run.root, kind: 'run', vectors: true, run: run.manifest.run, rounds: 3, bytes: file.length },
      ...{
        piece: expect.stringMatching(/^bafkzcib/),
        comm_p: expect.stringMatching(/^baga6ea4sea/),
        padded_bytes: '32768',
      },
    })
  })

  test('of another file says why it is none', async () => {
    const pragma = Buffer.from('0aa16776657273696f6e02', 'hex')
    await writeFile(at('two.car'), Buffer.concat([pragma, Buffer.alloc(40), createHash('sha256').digest()]))
    expect(await ran('bundles', 'show', at('two.car'))).toMatchObject({
      ...{ code: 8, said: { detail: expect.stringContaining('CARv2') } },
    })
  })
})
