import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Secure } from '#protocol/plan.ts'
import { temporaryFolder } from '#test/folder.ts'
import { type RecordedRun, recordRun } from '#test/verify/fixture.ts'
import { consilium } from './command.ts'
import { Shell } from './shell.ts'

const shell = new Shell()
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let hidden: RecordedRun
const secure = (publish: Secure['publish']): Secure => ({ suite: 1, corrupt: 1, publish })
const at = (...names: readonly string[]) => join(folder.path, ...names)
const vectors = () => [...hidden.hidden]

beforeAll(async () => {
  folder = await temporaryFolder()
  hidden = await recordRun({ secure: secure('commit-only'), losses: { 1: { mask: [2] } } })
  await writeFile(at('hidden.car'), await hidden.file())
  await writeFile(at('open.car'), await (await recordRun({ secure: secure('full') })).file())
  await writeFile(at('plain.car'), await (await recordRun()).file())
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function verify(...args: readonly string[]) {
  const { code, stdout } = await shell.run(['verify', ...args, '--json'])
  const verdict = JSON.parse(stdout) as { rounds?: { vectors: string }[]; [field: string]: unknown }
  return { code, verdict, vectors: verdict.rounds?.map((round) => round.vectors) }
}

async function folderOf(name: string, files: Iterable<readonly [string, Uint8Array]>): Promise<string> {
  await mkdir(at(name))
  for (const [file, bytes] of files) await writeFile(at(name, file), bytes)
  return at(name)
}

describe('the verdict on a run', () => {
  test('of plain rounds counts held-out rows', async () => {
    const { stdout } = await shell.run(['verify', at('plain.car')])
    expect(stdout).toMatch(/^accuracy {5}0\.\d{4} on \d+ held-out rows$/m)
    expect(stdout).not.toContain('sums')
    const { verdict, vectors } = await verify(at('plain.car'))
    expect(verdict['evaluation']).toEqual({
      ...{ rows: 72, sites: null, correct: 51 },
      ...{ accuracy: verdict['accuracy'], loss: expect.any(Number) },
    })
    expect(vectors).toEqual(['recomputed', 'recomputed', 'recomputed'])
  })

  test('of masked rounds is the mean over sites, and never tells rows that nobody has', async () => {
    const { code, stdout } = await shell.run(['verify', at('open.car')])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^accuracy {5}0\.\d{4} mean of 4 sites, each on its own held-out rows$/m)
    expect(stdout).toMatch(/^sums {9}3 of 3 recomputed from their masked vectors$/m)
    expect(stdout).toMatch(/^verify {7}ok, unpinned: whole and consistent, [^;]*; --coordinator <z6Mk…> pins who did$/m)
    const { verdict } = await verify(at('open.car'))
    expect(verdict['evaluation']).toEqual({
      ...{ rows: null, sites: 4, correct: null },
      ...{ accuracy: verdict['accuracy'], loss: expect.any(Number) },
    })
    expect(JSON.stringify(verdict)).not.toMatch(/"(rows|correct)":\d/)
  })

  test('whose vectors are not public says so in its last line, and for every round', async () => {
    const { code, stdout } = await consilium(['verify', at('hidden.car'), '--coordinator', hidden.coordinator.id])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^sums {9}0 of 3 recomputed from their masked vectors, 3 as the coordinator signed them; /m)
    expect(stdout).toMatch(/^verify {7}ok \(pinned\), 3 sums not added up$/m)
    expect((await verify(at('hidden.car'))).vectors).toEqual(['committed', 'committed', 'committed'])
  })
})

describe('verify --vectors', () => {
  const recomputed = { code: 0, vectors: ['recomputed', 'recomputed', 'recomputed'] }

  test('finds masked vectors by their hash as a name, or under any name among other things', async () => {
    const named = await folderOf(
      'named',
      vectors().map(([hex, bytes]) => [`${hex}.bin`, bytes]),
    )
    expect(await verify(at('hidden.car'), '--vectors', named)).toMatchObject(recomputed)
    const any = await folderOf('any', [
      ...vectors().map(([, bytes], index) => [`site ${index}`, bytes] as const),
      ['of the same size', new Uint8Array(vectors()[0]?.[1].length ?? 0)],
      ['notes.txt', new TextEncoder().encode('of another size')],
    ])
    await mkdir(join(any, 'within'))
    await symlink('nowhere', join(any, 'broken'))
    expect(await verify(at('hidden.car'), '--vectors', any)).toMatchObject(recomputed)
  })

  test('fails where one is missing or another under its name, and names the hash', async () => {
    const [[hex = ''] = []] = vectors()
    const some = await folderOf('some', vectors())
    await rm(join(some, hex))
    const missing = await verify(at('hidden.car'), '--vectors', some)
    expect(missing).toMatchObject({ code: 8, verdict: { step: 'vector', detail: expect.stringContaining(hex) } })
    await writeFile(join(some, hex), new Uint8Array(vectors()[0]?.[1].length ?? 0))
    const other = await verify(at('hidden.car'), '--vectors', some)
    expect(other).toMatchObject({
      code: 8,
      verdict: { step: 'vector', detail: expect.stringContaining('not the bytes') },
    })
  })

  test('of a folder that is none fails before anything is read', async () => {
    expect(await shell.run(['verify', at('hidden.car'), '--vectors', at('nothing')])).toMatchObject({ code: 4 })
  })
})
