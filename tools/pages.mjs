// What the pages that the coordinator serves are bundled by: each has a file beside this one that says of what.
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

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

/** @returns esbuild's result, the outputs under their hashed names */
export function bundlePage(entryPoints, { plugins = [], ...change } = {}) {
  return build({
    absWorkingDir: root,
    entryPoints,
    outdir: 'page',
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
    plugins: [leanZod, ...plugins],
    logLevel: 'silent',
    ...change,
  })
}

/** Outputs by the names under which they are served. */
export function filesOf({ outputFiles }) {
  return new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]))
}

/**
 * What is served, each gzipped: `index.html`, and files that never change under their names.
 * @param document the page's HTML, with `"{word}"` where it names a file @param places word → which file, by pattern
 */
export function servedPage(files, { document, prefix, places }) {
  const nameOf = (word) => [...files.keys()].find((name) => places[word].test(name))
  const page = readFileSync(join(root, document), 'utf8')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const filled = page.replace('{version}', version).replace(/"\{(\w+)\}"/g, (_, word) => `"${prefix}${nameOf(word)}"`)
  const all = new Map([...files, ['index.html', Buffer.from(filled)]])
  return new Map([...all].map(([name, contents]) => [name, gzipSync(contents, { level: 9 })]))
}
