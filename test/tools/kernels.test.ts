import { spawnSync } from 'node:child_process'
import { expect, test } from '@jest/globals'

test('every WebAssembly binary in the repository is what its source compiles to', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['tools/kernels.mjs', '--check'], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout).toBe(
    ['aggregation/kernels/ring-binary.ts', 'client/trainers/kernels/binary.ts', 'bench/read-binary.ts']
      .map((file) => `${file} is what its source compiles to\n`)
      .join(''),
  )
})
