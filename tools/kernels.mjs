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
