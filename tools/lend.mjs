// Bundles the page that lends a browser to a coordinator: what `/lend` serves. A clone bundles it when it is first asked for,
// the package carries it in dist/lend, gzipped as it is sent.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

/**
 * Our own schemas are made by the part of zod that they call, through a namespace, so that what nobody calls is left out. And
 * a page describes no schema to anybody, though each of them offers to.
 */
const leanZod = {
  name: 'lean-zod',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^zod$/ }, () => ({ path: join(root, 'tools/page-zod.mjs') }))
    onLoad({ filter: /zod\/v4\/core\/(to-json-schema|json-schema-processors)\.js$/ }, ({ path }) => {
      const names = [...readFileSync(path, 'utf8').matchAll(/^export (?:function|const|class) (\w+)/gm)]
      return { contents: names.map(([, name]) => `export const ${name} = () => undefined`).join('\n') }
    })
    onLoad({ filter: /\.ts$/, namespace: 'file' }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replace(/^import \{ z \} from 'zod'$/m, "import * as z from 'zod'"),
    }))
  },
}

/**
 * What only masked rounds need, by where it is asked for: each function answers with a promise, and a page loads all of them
 * in one piece when the first is called.
 */
const MASKED = { from: 'client/sessions.ts', names: ['entering', 'lineage', 'recollection'] }

const maskedLater = {
  name: 'masked-later',
  setup({ onLoad, onResolve }) {
    const importer = join(root, MASKED.from)
    const resolveDir = dirname(importer)
    const functionsIn = (name) => {
      const text = readFileSync(join(resolveDir, `${name}.ts`), 'utf8')
      return [...text.matchAll(/^export async function (\w+)/gm)].map(([, found]) => found)
    }
    onResolve({ filter: /^\.\/\w+\.ts$/ }, (asked) => {
      const name = basename(asked.path, '.ts')
      return asked.importer === importer && MASKED.names.includes(name) ? { path: name, namespace: 'later' } : undefined
    })
    onLoad({ filter: /./, namespace: 'later' }, ({ path }) => ({
      resolveDir,
      contents: functionsIn(path)
        .map((name) => `export const ${name} = async (...all) => (await import('masked')).${name}(...all)`)
        .join('\n'),
    }))
    onResolve({ filter: /^masked$/, namespace: 'later' }, () => ({ path: 'masked', namespace: 'masked' }))
    onLoad({ filter: /./, namespace: 'masked' }, () => ({
      resolveDir,
      contents: MASKED.names.map((name) => `export { ${functionsIn(name).join(', ')} } from './${name}.ts'`).join('\n'),
    }))
  },
}

/** @returns esbuild's result, the outputs under their hashed names */
export function bundleLend(change = {}) {
  return build({
    absWorkingDir: root,
    entryPoints: ['client/lend/page.ts', 'client/trainers/page-worker.ts', 'client/lend/style.css'],
    outdir: 'lend',
    write: false,
    metafile: true,
    bundle: true,
    splitting: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2024',
    entryNames: '[name]-[hash]',
    chunkNames: 'part-[hash]',
    // TF.js asks for these where it is not in a browser.
    external: ['util', 'crypto', 'fs', 'path', 'os', 'worker_threads', 'perf_hooks', 'node-fetch', 'string_decoder'],
    plugins: [leanZod, maskedLater],
    logLevel: 'silent',
    ...change,
  })
}

/** What is served, each gzipped: `index.html`, and files that never change under their names. */
export async function buildLend() {
  const { outputFiles } = await bundleLend()
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]))
  const binary = readFileSync(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm'))
  const digest = createHash('sha256').update(binary).digest('hex').slice(0, 8).toUpperCase()
  files.set(`tfjs-${digest}.wasm`, binary)
  const nameOf = (pattern) => [...files.keys()].find((name) => pattern.test(name))
  const names = {
    page: nameOf(/^page-\w+\.js$/),
    worker: nameOf(/^page-worker-/),
    style: nameOf(/\.css$/),
    wasm: nameOf(/\.wasm$/),
  }
  const page = readFileSync(join(root, 'client/lend/index.html'), 'utf8')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const filled = page.replace('{version}', version).replace(/"\{(\w+)\}"/g, (_, name) => `"/lend/${names[name]}"`)
  files.set('index.html', Buffer.from(filled))
  return new Map([...files].map(([name, contents]) => [name, gzipSync(contents, { level: 9 })]))
}
