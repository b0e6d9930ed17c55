import { build } from 'esbuild'
import { type Browser, launch, type Page } from 'puppeteer-core'
import { loopback } from './loopback.ts'
import { programAt } from './program.ts'

/** The environment's CHROMIUM, or the first on the PATH that goes by one of its names. */
export function chromiumPath(): string | undefined {
  return programAt('CHROMIUM', 'chromium', 'chromium-browser', 'google-chrome')
}

/** A page whose module is at `/module.js`, and the sources that went into it. It can reach this process and nobody else. */
export type Opened = { readonly page: Page; readonly sources: readonly string[] } & AsyncDisposable

/**
 * @param chromium the browser's path
 * @param entry the module, in TypeScript, for the conditions of a browser
 * @param flags of the browser's command line, besides
 */
export async function openPage(chromium: string, entry: string, flags: readonly string[] = []): Promise<Opened> {
  await using scope = new AsyncDisposableStack()
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2024',
    external: ['node:fs'],
    logLevel: 'silent',
  })
  const module = outputFiles[0]?.contents
  const { url } = scope.use(
    await loopback(({ url }, response) => {
      const [type, body] = url === '/module.js' ? ['text/javascript', module] : ['text/html', '<!doctype html>']
      response.writeHead(200, { 'content-type': type, ...ISOLATED }).end(body)
    }),
  )
  const browser = scope.adopt(await startChromium(chromium, flags), (opened) => opened.close())
  const page = await browser.newPage()
  await page.goto(url)
  const opened = scope.move()
  return { page, sources: Object.keys(metafile.inputs), [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** As our pages are: else they have no shared memory. */
const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}

/** What starts for longer never comes, however busy the machine is. */
export const START_MILLIS = 120_000

/** It reaches this machine's loopback and nobody else. @param flags of its command line, besides */
export function startChromium(chromium: string, flags: readonly string[] = []): Promise<Browser> {
  return launch({
    executablePath: chromium,
    timeout: START_MILLIS,
    args: [
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      // Chromium has no sandbox for root, and says so by not starting.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ...flags,
    ],
  })
}

/** WebGPU and WebGL, in software: they compute, slowly, on any machine. */
export const SOFTWARE_GPU = ['--use-angle=swiftshader', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
