import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { twinOf } from '#cli/run.ts'
import { waysOn } from '#cli/runs-watch.ts'
import { failureOf } from '#cli/thrown.ts'
import { signerOf } from '#protocol/envelope.ts'
import { lockFolder } from '#storage/folder-lock.ts'
import { temporaryFolder } from '#test/folder.ts'
import { Shell } from './shell.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let shell: Shell
beforeAll(async () => {
  folder = await temporaryFolder()
  shell = new Shell({ cwd: folder.path })
  await writeFile(join(folder.path, 'empty.csv'), '')
  await writeFile(join(folder.path, 'site.csv'), 'age,outcome\n55,1\n')
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const key = signerOf(new Uint8Array(32)).id
const up = (data: string, url: string) =>
  shell.run(['node', 'up', '--state', 'site', '--data', data, '--population', 'open'].concat(...at(url)))
const at = (url: string) => ['--coordinator', url, '--coordinator-key', key, '--backend', 'cpu', '--no-bench']

test('a node with an empty file as its data says so before it links', async () => {
  const { code, stderr } = await up('empty.csv', 'http://127.0.0.1:9')
  expect({ code, stderr }).toEqual({ code: 11, stderr: expect.stringMatching(/empty\.csv is empty[\s\S]*header line/) })
})

test('a node that is pointed at an open line off this machine says what to write instead', async () => {
  const { code, stderr } = await up('site.csv', 'http://192.0.2.1:7410')
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/no_tls[\s\S]*fix +use https:\/\//) })
})

test('a second process in a folder hears what to do', async () => {
  await mkdir(join(folder.path, 'taken'))
  using _first = lockFolder(join(folder.path, 'taken'))
  const second = async () => lockFolder(join(folder.path, 'taken'))
  expect(await second().catch(failureOf)).toMatchObject({
    code: 'folder_in_use',
    fix: expect.stringMatching(/--state/),
    lines: [],
  })
})

test('sim without the folder of data says where it comes from', async () => {
  const { code, stderr } = await shell.run(['sim', '--data', 'data', '--label', 'outcome'])
  expect({ code, stderr }).toEqual({
    code: 4,
    stderr: expect.stringMatching(/there is no [\s\S]*data {2}[\s\S]*node data\.ts/),
  })
})

test('what to do about a paused run reads as a sentence, with and without a round to look at', () => {
  expect(waysOn('run_1', 3)).toBe(
    'consilium runs show run_1 --round 3 tells what became of each seat; then consilium runs resume run_1, or runs stop run_1',
  )
  expect(waysOn('run_1', undefined)).toBe('consilium runs resume run_1, or runs stop run_1')
})

test('a run of a task that was run before, under masks, is told of it: sites may refuse another sum that starts alike', () => {
  const run = { id: 'run_2', task: 'bafy1', masking: 'secagg/1', closed: 0 } as const
  const before = { ...run, id: 'run_1', closed: 3 }
  expect(twinOf(run, [run, before])).toBe(before)
  for (const other of [
    { ...before, task: 'bafy2' },
    { ...before, masking: 'none' as const },
    { ...before, closed: 0 },
  ])
    expect(twinOf(run, [run, other])).toBeUndefined()
  expect(twinOf({ ...run, masking: 'none' }, [before])).toBeUndefined()
})
