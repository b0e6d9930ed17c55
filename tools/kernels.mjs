// Compiles the AssemblyScript kernels to WebAssembly and writes each binary as base64 next to its sources, so that neither a
// clone nor an installed package needs the compiler. `node tools/kernels.mjs` writes them, `--check` compares them instead.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const KERNELS = [
  {
    file: 'aggregation/kernels/ring-binary.ts',
    sources: ['aggregation/kernels/assembly/ring.ts'],
    name: 'RING_BINARY',
    flags: ['--noExportMemory'],
  },
  {
    file: 'client/trainers/kernels/binary.ts',
    sources: ['convolution', 'matrix', 'pooling'].map((name) => `client/trainers/kernels/assembly/${name}.ts`),
    name: 'KERNELS_BINARY',
    flags: [],
  },
  {
    file: 'bench/read-binary.ts',
    sources: ['bench/assembly/read.ts'],
    name: 'READ_BINARY',
    flags: ['--noExportMemory'],
  },
]

/** @returns the text of the kernel's binary.ts */
async function compile({ sources, name, flags }) {
  const asc = await import('assemblyscript/asc')
  const options = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd', ...flags]
  let binary
  const { error, stderr } = await asc.main([...sources, '--baseDir', root, '-o', 'kernels.wasm', ...options], {
    writeFile(_, contents) {
      binary = contents
    },
  })
  if (error) throw new Error(`${error.message}\n${stderr}`)
  const lines = Buffer.from(binary)
    .toString('base64')
    .match(/.{1,112}/g)
    .map((line) => `  '${line}'`)
  return `/** WebAssembly made from ${sources.join(', ')} by tools/kernels.mjs, in base64. */\nexport const ${name} =\n${lines.join(' +\n')}\n`
}

for (const kernel of KERNELS) {
  const path = join(root, kernel.file)
  const made = await compile(kernel)
  if (!process.argv.includes('--check')) writeFileSync(path, made)
  else if (readFileSync(path, 'utf8') === made) process.stdout.write(`${kernel.file} is what its source compiles to\n`)
  else {
    process.stderr.write(`error  ${kernel.file} is not what its source compiles to\n  fix  node tools/kernels.mjs\n`)
    process.exitCode = 1
  }
}
