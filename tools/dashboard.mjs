// Bundles the dashboard: what the coordinator serves at `/`. A clone bundles it when it is first asked for, the package
// carries it in dist/dashboard, gzipped as it is sent.
import { bundlePage, filesOf, servedPage } from './pages.mjs'

/** @returns esbuild's result, the outputs under their hashed names */
export function bundleDashboard(change = {}) {
  return bundlePage(['dashboard/main.tsx', 'dashboard/verifier.ts', 'dashboard/style.css'], {
    jsx: 'automatic',
    jsxImportSource: 'preact',
    ...change,
  })
}

/** What is served, each gzipped. */
export async function buildPage() {
  return servedPage(filesOf(await bundleDashboard()), {
    document: 'dashboard/index.html',
    prefix: '/ui/',
    places: { main: /^main-\w+\.js$/, verifier: /^verifier-\w+\.js$/, style: /^style-\w+\.css$/ },
  })
}
