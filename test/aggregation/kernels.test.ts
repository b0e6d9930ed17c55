import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { RING_BINARY } from '#aggregation/kernels/binary.ts'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const compiler = existsSync(at('node_modules/assemblyscript'))
if (!compiler)
  console.log('skipped: the kernel is not compiled again, since the package assemblyscript is not installed')
const withCompiler = compiler ? test : test.skip

withCompiler('the binary in the repository is what its source compiles to', () => {
  const made = spawnSync(process.execPath, [at('tools/kernels.mjs'), '--print'], { encoding: 'utf8' })
  expect(made.stderr).toBe('')
  expect(made.stdout.trim()).toBe(RING_BINARY)
})
