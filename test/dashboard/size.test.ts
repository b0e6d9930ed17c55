import { expect, test } from '@jest/globals'
import { firstLoad, gzippedSizes } from '#test/bundle-sizes.ts'

/** What the dashboard needs before anything is shown. */
const FIRST_MAX = 60_000
/** All that it ever loads: the verifier with its schemas and curves is most of it. */
const ALL_MAX = 220_000

test('the dashboard comes up on little JavaScript, and fetches charts and the verifier when they are looked at', async () => {
  const { bundleDashboard } = (await import(new URL('../../tools/dashboard.mjs', import.meta.url).href)) as {
    readonly bundleDashboard: () => Promise<Parameters<typeof gzippedSizes>[0]>
  }
  const bundled = await bundleDashboard()
  const sizes = gzippedSizes(bundled)
  const first = firstLoad(bundled, 'dashboard/main.tsx')
  const sum = (paths: Iterable<string>) => [...paths].reduce((total, path) => total + (sizes.get(path) ?? 0), 0)
  expect(sum(first)).toBeGreaterThan(1000)
  expect(sum(first)).toBeLessThan(FIRST_MAX)
  expect(sum(sizes.keys())).toBeLessThan(ALL_MAX)
  const inputs = [...first].flatMap((path) => Object.keys(bundled.metafile.outputs[path]?.inputs ?? {}))
  expect(inputs.filter((path) => /uplot|zod|noble|verify\//.test(path))).toEqual([])
})
