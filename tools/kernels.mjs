// Compiles the AssemblyScript kernels to WebAssembly and writes each binary as base64 next to its sources, so that neither a
// clone nor an installed package needs the compiler. `node tools/kernels.mjs` writes them, `--check` compares them instead.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const KERNELS = [
  { folder: 'aggregation/kernels', sources: ['ring.ts'], name: 'RING_BINARY', flags: ['--noExportMemory'] },
  {
    folder: 'client/trainers/kernels',
    sources: [
      'convolution.ts',
      'depthwise.ts',
      'matrix.ts',
      'normalization.ts',
      'pooling.ts',
      'segments.ts',
      'steps.ts',
    ],
    name: 'KERNELS_BINARY',
    flags: [],
  },
  { folder: 'bench', sources: ['read.ts'], name: 'READ_BINARY', flags: ['--noExportMemory'] },
]

/** @returns the text of the kernel's binary.ts */
async function compile({ folder, sources, name, flags }) {
  const asc = await import('assemblyscript/asc')
  const options = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd', ...flags]
  let binary
  const { error, stderr } = await asc.main(
    [...sources, '--baseDir', join(root, folder, 'assembly'), '-o', 'kernels.wasm', ...options],
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
    .map((line) => `  '${line}'`)
  return `/** WebAssembly made from assembly/ by tools/kernels.mjs, base64. */\nexport const ${name} =\n${lines.join(' +\n')}\n`
}

for (const kernel of KERNELS) {
  const path = join(root, kernel.folder, 'binary.ts')
  const made = await compile(kernel)
  if (!process.argv.includes('--check')) writeFileSync(path, made)
  else if (readFileSync(path, 'utf8') === made)
    process.stdout.write(`${kernel.folder} is what its source compiles to\n`)
  else {
    process.stderr.write(
      `error  ${kernel.folder}/binary.ts is not what its source compiles to\n  fix  node tools/kernels.mjs\n`,
    )
    process.exitCode = 1
  }
}
