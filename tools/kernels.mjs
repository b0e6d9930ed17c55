// Compiles aggregation/kernels/assembly to WebAssembly and writes the binary as base64 next to it, so that neither a clone
// nor an installed package needs the compiler. `--print` writes it to standard output instead: the test compares it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const kernels = join(root, 'aggregation/kernels')
const asc = join(root, 'node_modules/assemblyscript/bin/asc.js')
const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--noExportMemory', '--enable', 'simd']

const folder = mkdtempSync(join(tmpdir(), 'kernels-'))
try {
  const outFile = join(folder, 'ring.wasm')
  const source = join(kernels, 'assembly/ring.ts')
  const made = spawnSync(process.execPath, [asc, source, '--outFile', outFile, ...flags], { stdio: ['ignore', 2, 2] })
  if (made.status !== 0) process.exit(made.status ?? 1)
  const base64 = readFileSync(outFile).toString('base64')
  if (process.argv.includes('--print')) process.stdout.write(`${base64}\n`)
  else writeFileSync(join(kernels, 'binary.ts'), module(base64))
} finally {
  rmSync(folder, { recursive: true })
}

function module(base64) {
  const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}'`)
  return `/** WebAssembly made from assembly/ring.ts by tools/kernels.mjs, base64. */\nexport const RING_BINARY =\n${lines.join(' +\n')}\n`
}
