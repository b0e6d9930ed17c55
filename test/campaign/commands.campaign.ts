import { expect, test } from '@jest/globals'
import { here } from '#test/cli/here.ts'

test('what this machine can train on, and how fast, is told as the schemas say', async () => {
  expect(await here(['node', 'backends', '--json'])).toMatchObject({ code: 0 })
  expect(await here(['node', 'bench', '--backend', 'wasm', '--json'])).toMatchObject({ code: 0 })
}, 120_000)
