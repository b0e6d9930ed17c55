import { spawnSync } from 'node:child_process'
import { expect, test } from '@jest/globals'

test('every WebAssembly binary in the repository is what its source compiles to', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['tools/kernels.mjs', '--check'], { encoding: 'utf8' })
  expect(stderr).toBe('')
  const folders = ['aggregation/kernels', 'client/trainers/kernels', 'bench']
  expect(stdout).toBe(folders.map((folder) => `${folder} is what its source compiles to\n`).join(''))
})
