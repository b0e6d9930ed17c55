import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { consilium, jsonLines } from '#test/cli/command.ts'
import { temporaryFolder } from '#test/folder.ts'

/** The worked examples, whole, by the command that their READMEs name, to the accuracy that these state. */
test.each([
  ['digits', ['--sites', '5']],
  ['tabular', ['--data', 'data']],
  ['text', ['--data', 'data']],
])(
  '%s, as it is created, is as accurate as its README says',
  async (template, sites) => {
    await using folder = await temporaryFolder()
    await consilium(['create', 'study', '--template', template], { cwd: folder.path })
    const study = join(folder.path, 'study')
    if (template !== 'digits') execFileSync(process.execPath, ['data.ts'], { cwd: study })
    const ran = await consilium(['sim', '--task', 'task.ts', ...sites, '--json'], { cwd: study })
    const end = jsonLines(ran.stdout).at(-1)
    process.stdout.write(`${template}: accuracy ${end?.['accuracy']}\n`)
    const [, stated] = /(\d+) %/.exec(await readFile(join(study, 'README.md'), 'utf8')) ?? []
    expect(end).toMatchObject({ type: 'sim.finished', outcome: 'completed' })
    expect(Math.round(100 * Number(end?.['accuracy']))).toBeGreaterThanOrEqual(Number(stated))
  },
  300_000,
)
