// Compiles the AssemblyScript kernels to WebAssembly and writes each binary as base64 into a `.ts`, so that neither a
// clone nor an installed package needs the compiler. `--print` writes {path: text} to standard output instead of files:
// a test compares them with what is there.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const kernels = [
  { source: 'aggregation/kernels/assembly/ring.ts', target: 'aggregation/kernels/ring-binary.ts', name: 'RING_BINARY' },
  { source: 'bench/assembly/read.ts', target: 'bench/read-binary.ts', name: 'READ_BINARY' },
]
const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--noExportMemory', '--enable', 'simd']

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const asc = join(root, 'node_modules/assemblyscript/bin/asc.js')
const folder = mkdtempSync(join(tmpdir(), 'kernels-'))
try {
  const made = Object.fromEntries(kernels.map((kernel) => [kernel.target, textOf(kernel)]))
  if (process.argv.includes('--print')) process.stdout.write(JSON.stringify(made))
  else for (const [path, text] of Object.entries(made)) writeFileSync(join(root, path), text)
} finally {
  rmSync(folder, { recursive: true })
}

function textOf({ source, name }) {
  const binary = join(folder, `${name}.wasm`)
  const compiled = spawnSync(process.execPath, [asc, join(root, source), '--outFile', binary, ...flags], {
    stdio: ['ignore', 2, 2],
  })
  if (compiled.status !== 0) throw new Error(`${source} does not compile`)
  const lines = readFileSync(binary)
    .toString('base64')
    .match(/.{1,100}/g)
    .map((line) => `  '${line}'`)
  return `/** WebAssembly made from ${source} by tools/kernels.mjs, in base64. */\nexport const ${name} =\n${lines.join(' +\n')}\n`
}
