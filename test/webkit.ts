import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { comesTrue } from './eventually.ts'
import { temporaryFolder } from './folder.ts'
import { freePort } from './loopback.ts'
import { programAt } from './program.ts'

/** A window of WebKitGTK's small browser, spoken to by WebDriver. */
export type WebKit = AsyncDisposable & {
  goTo(url: string): Promise<void>
  /** What a script in the page returns. */
  ask<T>(script: string): Promise<T>
  /** Until an element says that. */
  says(id: string, pattern: RegExp): Promise<void>
  press(id: string): Promise<void>
}

/** The environment's WEBKIT_DRIVER, or the first on the PATH. */
export function webkitPath(): string | undefined {
  return programAt('WEBKIT_DRIVER', 'WebKitWebDriver')
}

const SAID_MILLIS = 120_000

/**
 * With a home of its own, which is gone with it. It reaches this machine's loopback and nobody else: everything besides goes to
 * a proxy that is not there.
 *
 * @param environment the display that it opens on, and more
 */
export async function startWebKit(driver: string, environment: Readonly<Record<string, string>>): Promise<WebKit> {
  await using scope = new AsyncDisposableStack()
  const home = scope.use(await temporaryFolder())
  const port = await freePort()
  const own = { PATH: process.env['PATH'], HOME: home.path, XDG_RUNTIME_DIR: home.path, LANG: 'C.UTF-8' }
  const server = spawn(driver, ['--host=127.0.0.1', `--port=${port}`], {
    env: { ...own, ...environment },
    stdio: 'ignore',
  })
  const ended = once(server, 'exit')
  scope.defer(async () => {
    server.kill()
    await ended
  })
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    })
    const { value } = (await answer.json()) as { readonly value: unknown }
    if (!answer.ok) throw new Error(`the browser says to ${path}: ${JSON.stringify(value)}`)
    return value
  }
  await comesTrue(() => call('GET', '/status').then(Boolean, () => false))
  const { sessionId } = (await call('POST', '/session', { capabilities: { alwaysMatch: CAPABILITIES } })) as {
    readonly sessionId: string
  }
  const session = `/session/${sessionId}`
  scope.defer(async () => void (await call('DELETE', session)))
  const opened = scope.move()
  const ask = async <T>(script: string) =>
    (await call('POST', `${session}/execute/async`, { script: asked(script), args: [] })) as T
  return {
    goTo: async (url) => void (await call('POST', `${session}/url`, { url })),
    ask,
    says: async (id, pattern) => {
      const said = await ask<string | null>(`
        const found = document.getElementById('${id}')
        const says = () => ${pattern}.test(found.textContent)
        if (says()) return null
        return new Promise((resolve) => {
          setTimeout(() => resolve(found.textContent), ${SAID_MILLIS - 5000})
          new MutationObserver(() => says() && resolve(null)).observe(found, { childList: true, characterData: true, subtree: true })
        })`)
      if (said !== null) throw new Error(`${id} never said ${pattern}, but: ${said}`)
    },
    press: (id) => ask(`document.getElementById('${id}').click()`),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** WebDriver's own promises are of no use while a page is loading. */
function asked(script: string): string {
  return `const answer = arguments[arguments.length - 1]; (async () => { ${script} })().then(answer, (cause) => answer(String(cause)))`
}

const NOWHERE = '127.0.0.1:9'
const CAPABILITIES = {
  timeouts: { script: SAID_MILLIS },
  proxy: { proxyType: 'manual', httpProxy: NOWHERE, sslProxy: NOWHERE, noProxy: ['127.0.0.1'] },
}
