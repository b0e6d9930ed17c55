import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'

/** Of esbuild's result, what is looked at. */
type Bundled = {
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[]
  readonly metafile: {
    readonly outputs: Readonly<
      Record<
        string,
        {
          readonly entryPoint?: string
          readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[]
          readonly inputs: Readonly<Record<string, unknown>>
        }
      >
    >
  }
}

/** What the page needs before anybody has pressed anything. */
const FIRST_MAX = 60_000
/**
 * All that it ever loads but TF.js, of which our own code is a third: a node checks everything for itself. What is added to
 * the client is added here; a leap is a dependency that has no place in a page.
 */
const ALL_MAX = 152_000

test('the page comes up on little JavaScript, and lends on a bounded amount besides TF.js', async () => {
  const { bundleLend } = (await import(new URL('../../tools/lend.mjs', import.meta.url).href)) as {
    readonly bundleLend: (change: object) => Promise<Bundled>
  }
  const { outputFiles, metafile } = await bundleLend({
    packages: 'bundle',
    external: ['@tensorflow/*', 'util', 'crypto'],
  })
  const scripts = outputFiles.filter(({ path }) => path.endsWith('.js'))
  const sizes = new Map(
    scripts.map(({ path, contents }) => [
      `lend/${path.split(/[\\/]/).at(-1)}`,
      gzipSync(contents, { level: 9 }).length,
    ]),
  )
  const sum = (paths: Iterable<string>) => [...paths].reduce((total, path) => total + (sizes.get(path) ?? 0), 0)
  const [first] =
    Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === 'client/lend/page.ts') ?? []
  const loaded = new Set([first as string])
  for (const path of loaded)
    for (const imported of metafile.outputs[path]?.imports ?? [])
      if (imported.kind === 'import-statement' && !imported.external) loaded.add(imported.path)
  expect(sum(loaded)).toBeGreaterThan(1000)
  expect(sum(loaded)).toBeLessThan(FIRST_MAX)
  expect(sum(sizes.keys())).toBeLessThan(ALL_MAX)
  // What runs in a page has nothing of Node's in it.
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs))
  expect(inputs.filter((path) => /crypto\/node\.ts|client\/node\.ts|data\/disk\.ts/.test(path))).toEqual([])
})
