import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '#test/folder.ts'

const root = join(import.meta.dirname, '../..')
const runtime = join(root, 'tools/jest-runtime.cjs')
const jest = join(root, 'node_modules/jest/bin/jest.js')

const SHARED = `export const state = { loads: 0 }\nexport const isSame = (a: unknown, b: unknown) => a === b\n`
const SUITE = `import { expect, test } from '@jest/globals'
import { state } from './shared.ts'
test('counts', () => expect(state.loads++).toBe(0))
test('any', () => expect(['', 0, true, 0n, () => 1, {}, [], new TypeError('no')]).toEqual(
  [String, Number, Boolean, BigInt, Function, Object, Array, Error].map((kind) => expect.any(kind))))
`
const SUITES = {
  'a-first': SUITE,
  'b-second': SUITE,
  'c-alone': `/** @jest-environment node */\n${SUITE}`,
  'd-wrong': `import { afterAll, expect, test } from '@jest/globals'
test('differs', () => expect([1]).toEqual([2]))
test('any differs', () => expect(1).toEqual(expect.any(String)))
test('hangs', () => new Promise(() => {}), 50)
test('rejects', async () => { throw new Error('no') })
test('forgets', async () => { void Promise.reject(new Error('forgotten')); await new Promise((settle) => setTimeout(settle, 20)) })
test.skip('is left out', () => {})
afterAll(() => { throw new Error('at the end') })
`,
  'e-broken': `import './no-such-file.ts'`,
}

test('suites share modules and nothing else, unless they ask for their own; what fails, hangs or does not load is told', async () => {
  await using folder = await temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  await writeFile(at('package.json'), '{"type": "module"}')
  await writeFile(at('shared.ts'), SHARED)
  for (const [name, text] of Object.entries(SUITES)) await writeFile(at(`${name}.test.ts`), text)
  const config = {
    rootDir: folder.path,
    runtime,
    transform: {},
    extensionsToTreatAsEsm: ['.ts'],
    testMatch: ['<rootDir>/*.test.ts'],
  }
  const args = ['--experimental-vm-modules', jest, '--runInBand', '--json', '--config', JSON.stringify(config)]
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((failed: { stdout: string }) => failed)
  type Told = { readonly title: string; readonly status: string }
  const { testResults } = JSON.parse(stdout) as {
    readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly Told[] }[]
  }
  const told = testResults.map(({ name, assertionResults }) => [
    name.slice(folder.path.length + 1, -'.test.ts'.length),
    Object.fromEntries(assertionResults.map(({ title, status }) => [title, status])),
  ])
  const { 'a-first': first, 'b-second': second, ...others } = Object.fromEntries(told)
  // Whichever comes first finds it as it was loaded, and the other as the first one left it.
  expect([first?.counts, second?.counts].sort()).toEqual(['failed', 'passed'])
  expect([first?.any, second?.any]).toEqual(['passed', 'passed'])
  expect(others).toEqual({
    'c-alone': { counts: 'passed', any: 'passed' },
    'd-wrong': {
      differs: 'failed',
      'any differs': 'failed',
      hangs: 'failed',
      rejects: 'failed',
      forgets: 'failed',
      'is left out': 'pending',
    },
    'e-broken': {},
  })
  expect(JSON.parse(stdout)).toMatchObject({ success: false, numFailedTestSuites: 3, numRuntimeErrorTestSuites: 2 })
})
