import { type Browser, launch } from 'puppeteer-core'
import { START_MILLIS } from './chromium.ts'
import { programAt } from './program.ts'

/** The environment's FIREFOX, or the first on the PATH that goes by one of its names. */
export function firefoxPath(): string | undefined {
  return programAt('FIREFOX', 'firefox-esr', 'firefox')
}

export type Preferences = Readonly<Record<string, string | number | boolean>>

/**
 * Driven by WebDriver BiDi. It reaches this machine's loopback and nobody else: everything besides goes to a proxy that is not
 * there.
 *
 * @param preferences as on its page about:config @param environment where it has a display there it opens a window on it
 */
export function startFirefox(
  firefox: string,
  preferences: Preferences = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<Browser> {
  return launch({
    browser: 'firefox',
    executablePath: firefox,
    timeout: START_MILLIS,
    headless: environment['DISPLAY'] === undefined,
    env: { ...process.env, ...environment },
    extraPrefsFirefox: { ...LOOPBACK_ONLY, ...preferences },
  })
}

/** Port 9 is for what is thrown away, and no browser opens it. */
const LOOPBACK_ONLY: Preferences = {
  ...{ 'network.proxy.type': 1, 'network.proxy.no_proxies_on': '127.0.0.1' },
  ...{ 'network.proxy.http': '127.0.0.1', 'network.proxy.http_port': 9 },
  ...{ 'network.proxy.ssl': '127.0.0.1', 'network.proxy.ssl_port': 9 },
}

export type Theme = 'light' | 'dark'

/** The dark one comes with little motion. BiDi has no way to change either while a page is open. */
export function inTheme(theme: Theme): Preferences {
  const isDark = theme === 'dark'
  return {
    'layout.css.prefers-color-scheme.content-override': isDark ? 0 : 1,
    'ui.prefersReducedMotion': isDark ? 1 : 0,
  }
}

/** WebGPU, which Firefox has switched off on some systems still. */
export const WITH_WEBGPU: Preferences = { 'dom.webgpu.enabled': true, 'gfx.webgpu.ignore-blocklist': true }
/** WebGL, wherever it computes. */
export const WITH_WEBGL: Preferences = { 'webgl.force-enabled': true }
