import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'

test('the compiled kernels are what their sources compile to', async () => {
  const tool = fileURLToPath(new URL('../../../tools/kernels.mjs', import.meta.url))
  const { stderr } = await promisify(execFile)(process.execPath, [tool, '--check'])
  expect(stderr).toBe('')
})
