import { execFileSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFolder } from '#test/folder.ts'
import { jsonLines } from './command.ts'
import { Shell } from './shell.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let shell: Shell
beforeAll(async () => {
  folder = await temporaryFolder()
  shell = new Shell({ cwd: folder.path })
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const root = join(import.meta.dirname, '../..')
const version = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version

test.each(['digits', 'tabular', 'text'])(
  'create makes a folder with the example %s, whose commands are two',
  async (template) => {
    const made = await shell.run(['create', `My ${template}`, '--template', template])
    expect(made).toMatchObject({ code: 0, stderr: expect.stringMatching(/README/) })
    // One that a shell finds may be too old for it.
    const node = / && (.+) data\.ts,/.exec(made.stderr)?.[1]
    expect([undefined, 'node', process.execPath]).toContain(node)
    const study = join(folder.path, `My ${template}`)
    const manifest = JSON.parse(await readFile(join(study, 'package.json'), 'utf8'))
    expect(manifest).toMatchObject({ name: `my-${template}`, devDependencies: { consilium: version } })
    for (const name of await readdir(study))
      if (name !== 'package.json')
        expect(await readFile(join(study, name), 'utf8')).toBe(
          await readFile(join(root, 'examples', template, name), 'utf8'),
        )
    const readme = await readFile(join(study, 'README.md'), 'utf8')
    for (const script of ['try', 'launch']) expect(readme).toContain(manifest.scripts[script])
  },
)

test('create writes over nothing, and knows its templates', async () => {
  await shell.run(['create', 'twice'])
  expect(await shell.run(['create', 'twice'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/not empty/) })
  expect(await shell.run(['create', 'other', '--template', 'image'])).toMatchObject({ code: 2 })
  expect(await readdir(folder.path)).not.toContain('other')
})

describe('a task file', () => {
  test('of made-up notes, as it was created, trains to what its README says', async () => {
    await shell.run(['create', 'notes', '--template', 'text'])
    const study = join(folder.path, 'notes')
    execFileSync(process.execPath, ['data.ts'], { cwd: study })
    const args = ['sim', '--task', 'notes/task.ts', '--data', 'notes/data', '--rounds', '2', '--json']
    const ran = await shell.run(args)
    expect(ran).toMatchObject({ code: 0 })
    expect(jsonLines(ran.stdout).at(-1)).toMatchObject({ type: 'sim.finished', outcome: 'completed', sites: 4 })
    expect(jsonLines(ran.stdout).at(-1)?.['accuracy']).toBeGreaterThan(0.93)
  })

  test('that is JSON is read and never run; one that is code is run, and says so', async () => {
    await writeFile(join(folder.path, 'odd.json'), 'process.exit(77)')
    const read = await shell.run(['run', 'odd.json'])
    expect(read).toMatchObject({ code: 2, stderr: expect.stringMatching(/is not JSON/) })
    await writeFile(join(folder.path, 'none.mjs'), 'export const other = 1\n')
    const none = await shell.run(['run', 'none.mjs'])
    expect(none).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/none\.mjs is code: it is run here[\s\S]*exports no task/),
    })
    await writeFile(join(folder.path, 'broken.mjs'), 'throw new Error("by itself")\n')
    expect(await shell.run(['run', 'broken.mjs'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/by itself/),
    })
  })

  test('that the API would not take is refused before anything trains, with where the mistake is', async () => {
    await writeFile(join(folder.path, 'wrong.json'), JSON.stringify({ task: {}, rounds: 0, cohort: {} }))
    const wrong = await shell.run(['sim', '--task', 'wrong.json', '--sites', '3'])
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/invalid_run[\s\S]*\/rounds/) })
  })
})
