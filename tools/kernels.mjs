<<<<<<< HEAD

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
=======

// Compiles the AssemblyScript kernels of client/trainers/kernels/assembly and writes them as base64 into binary.ts, where
// they run from without a file of their own. `node tools/kernels.mjs`; a test compiles again and compares.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'client/trainers/kernels')

/** @returns the text of binary.ts */
export async function compile() {
  const asc = await import('assemblyscript/asc')
  const sources = ['convolution.ts', 'matrix.ts', 'pooling.ts']
  const options = ['-O3', '--runtime', 'stub', '--importMemory', '--enable', 'simd', '--noAssert']
  let binary
  const { error, stderr } = await asc.main(
    [...sources, '--baseDir', join(folder, 'assembly'), '-o', 'kernels.wasm', ...options],
    {
      writeFile: (_, contents) => {
        binary = contents
      },
    },
  )
  if (error) throw new Error(`${error.message}\n${stderr}`)
  const lines = Buffer.from(binary)
    .toString('base64')
    .match(/.{1,112}/g)
  return `/** The kernels of assembly/, compiled by tools/kernels.mjs. */\nexport const BINARY =\n${lines.map((line) => `  '${line}'`).join(' +\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(folder, 'binary.ts'), await compile())
>>>>>>> trainer
