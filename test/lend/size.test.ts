import { expect, test } from '@jest/globals'
import { type Bundled, firstLoad, gzippedSizes } from '#test/bundle-sizes.ts'

/** What the page needs before anybody has pressed anything. */
const FIRST_MAX = 7600
/**
 * To take part in plain rounds on a GPU, besides TF.js: the node, its training thread, and what checks for itself what it is
 * asked to do. What is added to the client is added here; a leap is a dependency that has no place in a page.
 */
const PLAIN_MAX = 115_500
/** The same where WebAssembly trains, with our kernels for it. */
const PLAIN_WASM_MAX = 127_000
/** What the first masked round loads besides: its session, its ciphers, and the verifier of the rounds before it. */
const MASKED_MAX = 33_000
const ALL_MAX = 159_500
/** What a browser that has no explicit resource management loads besides. */
const DISPOSAL_MAX = 700

test('the page comes up on little JavaScript, and lends on a bounded amount besides TF.js', async () => {
  const { bundleLend } = (await import(new URL('../../tools/lend.mjs', import.meta.url).href)) as {
    readonly bundleLend: (change: object) => Promise<Bundled>
  }
  const bundled = await bundleLend({ packages: 'bundle', external: ['@tensorflow/*', 'util', 'crypto'] })
  const sizes = gzippedSizes(bundled)
  /** What these load, with all that they import at once. */
  const sumOf = (...entries: readonly string[]): number =>
    [...firstLoad(bundled, ...entries)].reduce((total, path) => total + (sizes.get(path) ?? 0), 0)
  const first = 'client/lend/page.ts'
  const plain = [first, 'client/browser.ts', 'client/trainers/page-worker.ts']
  const onWasm = [...plain, 'client/trainers/kernels/mend.ts']
  expect(sumOf(first)).toBeGreaterThan(1000)
  expect(sumOf(first)).toBeLessThan(FIRST_MAX)
  expect(sumOf(...plain)).toBeLessThan(PLAIN_MAX)
  expect(sumOf(...onWasm)).toBeLessThan(PLAIN_WASM_MAX)
  expect(sumOf(...onWasm, 'masked:masked') - sumOf(...onWasm)).toBeLessThan(MASKED_MAX)
  expect(sumOf(...onWasm, 'masked:masked')).toBeLessThan(ALL_MAX)
  expect(sumOf(...onWasm, 'client/lend/disposal.ts') - sumOf(...onWasm)).toBeLessThan(DISPOSAL_MAX)
  const all = [...sizes.values()].reduce((total, size) => total + size, 0)
  // Nothing is loaded that is not counted above.
  expect(all).toBe(sumOf(...onWasm, 'masked:masked', 'client/lend/disposal.ts'))
  // What runs in a page has nothing of Node's in it.
  const inputs = Object.values(bundled.metafile.outputs).flatMap((output) => Object.keys(output.inputs))
  expect(inputs.filter((path) => /crypto\/node\.ts|client\/node\.ts|data\/disk\.ts/.test(path))).toEqual([])
})
