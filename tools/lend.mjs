// Bundles the page that lends a browser to a coordinator: what `/lend` serves. A clone bundles it when it is first asked for,
// the package carries it in dist/lend, gzipped as it is sent.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundlePage, filesOf, servedPage } from './pages.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

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
  return bundlePage(['client/lend/page.ts', 'client/trainers/page-worker.ts', 'client/lend/style.css'], {
    // TF.js asks for these where it is not in a browser.
    external: ['util', 'crypto', 'fs', 'path', 'os', 'worker_threads', 'perf_hooks', 'node-fetch', 'string_decoder'],
    plugins: [maskedLater],
    ...change,
  })
}

/** What is served, each gzipped. */
export async function buildPage() {
  const files = filesOf(await bundleLend())
  const binary = readFileSync(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm'))
  const digest = createHash('sha256').update(binary).digest('hex').slice(0, 8).toUpperCase()
  files.set(`tfjs-${digest}.wasm`, binary)
  return servedPage(files, {
    document: 'client/lend/index.html',
    prefix: '/lend/',
    places: { page: /^page-\w+\.js$/, worker: /^page-worker-/, style: /\.css$/, wasm: /\.wasm$/ },
  })
}
