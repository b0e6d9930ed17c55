import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const compiler = existsSync(at('node_modules/assemblyscript'))
if (!compiler) console.log('skipped: kernels are not compiled again, since the package assemblyscript is not installed')
const withCompiler = compiler ? test : test.skip

withCompiler(
  'the binaries in the repository are what their sources compile to',
  () => {
    const made = spawnSync(process.execPath, [at('tools/kernels.mjs'), '--print'], { encoding: 'utf8' })
    expect(made.stderr).toBe('')
    const texts = Object.entries(JSON.parse(made.stdout) as Record<string, string>)
    expect(texts.length).toBeGreaterThan(0)
    for (const [path, text] of texts) expect(readFileSync(at(path), 'utf8')).toBe(text)
  },
  60_000,
)
