// Compiles the AssemblyScript kernels to WebAssembly and writes each binary as base64 into a `.ts`, so that neither a
// clone nor an installed package needs the compiler. `--print` writes {path: text} to standard output instead of files:
// a test compares them with what is there.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const kernels = [
  { source: 'aggregation/kernels/assembly/ring.ts', target: 'aggregation/kernels/ring-binary.ts', name: 'RING_BINARY' },
  { source: 'bench/assembly/read.ts', target: 'bench/read-binary.ts', name: 'READ_BINARY' },
]
const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--noExportMemory', '--enable', 'simd']

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const made = {}
for (const kernel of kernels) made[kernel.target] = await compile(kernel)
if (process.argv.includes('--print')) process.stdout.write(JSON.stringify(made))
else for (const [path, text] of Object.entries(made)) writeFileSync(join(root, path), text)

async function compile({ source, name }) {
  let binary
  const keep = (_, bytes) => {
    binary = bytes
  }
  const args = [source, '--baseDir', root, '--outFile', 'kernel.wasm', ...flags]
  const { error, stderr } = await asc.main(args, { writeFile: keep })
  if (error) throw new Error(`${source} does not compile: ${stderr}`)
  const lines = Buffer.from(binary)
    .toString('base64')
    .match(/.{1,100}/g)
    .map((line) => `  '${line}'`)
  return `/** WebAssembly made from ${source} by tools/kernels.mjs, in base64. */\nexport const ${name} =\n${lines.join(' +\n')}\n`
}
