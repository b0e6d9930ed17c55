import { expect } from '@jest/globals'
import type { Browser, HTTPRequest, Page } from 'puppeteer-core'
import { pageFiles } from '#cli/page-files.ts'
import type { NodeId } from '#protocol/ids.ts'
import { violationsOn } from '#test/axe.ts'
import { startChromium } from '#test/chromium.ts'
import { comesTrue } from '#test/eventually.ts'
import { inTheme, type Preferences, startFirefox, type Theme } from '#test/firefox.ts'
import { LiveSite } from '#test/live-site.ts'

/** Bundled once a process. */
export const filesHere = pageFiles('dashboard')

/** However busy the machine is, a phase is over when all have answered. */
export const PATIENT = {
  ...{ selectionMillis: 600_000, reportingMillis: 600_000, aggregationMillis: 600_000, settlementMillis: 600_000 },
  learned: false,
}

/** A run of three sites whose sums anybody may see. */
export const PLAIN = {
  ...{ masking: 'none', cohort: { min: 3, max: 3, quorum: 3 }, onFailures: 'pause', timing: PATIENT },
}

/** What takes a browser longer never comes: it shares this machine with others. */
const BROWSER_MILLIS = 120_000

/** A browser at a coordinator's pages, and what should not have happened in it. */
export type Stage = AsyncDisposable & {
  readonly page: Page
  /** That it can be looked at in. */
  readonly themes: readonly Theme[]
  /** What scripts threw, and what the browser refused them. */
  readonly complaints: string[]
  /** Requests to anywhere but the coordinator. */
  readonly elsewhere: string[]
  goTo(path: string): Promise<void>
  /** Until the page says that. */
  says(pattern: RegExp): Promise<void>
  text(): Promise<string>
}

export async function openStage(chromium: string, url: string): Promise<Stage> {
  return stageIn(await startChromium(chromium), url, ['light', 'dark'])
}

/** The same in Firefox, in one theme: it cannot be changed while it runs. */
export async function openFirefoxStage(
  firefox: string,
  url: string,
  theme: Theme = 'light',
  preferences: Preferences = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<Stage> {
  const browser = await startFirefox(firefox, { ...inTheme(theme), ...preferences }, environment)
  return stageIn(browser, url, [theme])
}

async function stageIn(browser: Browser, url: string, themes: readonly Theme[]): Promise<Stage> {
  const page = await browser.newPage()
  page.setDefaultTimeout(BROWSER_MILLIS)
  watchTraffic(page)
  await page.evaluateOnNewDocument(REFUSED)
  await page.setViewport({ width: 1280, height: 800 })
  const complaints: string[] = []
  const elsewhere: string[] = []
  page.on('pageerror', (cause) => complaints.push(String(cause)))
  // What the coordinator refuses, or that it is away, the browser tells as well: that is looked for where it is expected.
  page.on('console', (said) => {
    if (said.type() === 'error' && !/^Failed to load resource/.test(said.text())) complaints.push(said.text())
  })
  page.on('request', (asked) => {
    if (!/^(data:|blob:)/.test(asked.url()) && !asked.url().startsWith(`${url}/`)) elsewhere.push(asked.url())
  })
  const text = () => page.evaluate(() => document.body.textContent ?? '')
  return {
    ...{ page, themes, complaints, elsewhere, text },
    goTo: async (path) => void (await page.goto(`${url}${path}`, { waitUntil: 'load' })),
    says: async (pattern) => {
      const until = ([source, flags]: readonly [string, string]) =>
        new RegExp(source, flags).test(document.body.textContent ?? '')
      const [source, flags] = [pattern.source, pattern.flags]
      await page.waitForFunction(until, { polling: 50 }, [source, flags] as const).catch(async () => {
        throw new Error(`the page never said ${pattern}, but:\n${await text()}`)
      })
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

/** What a page's policy refuses it is a complaint in every browser. */
const REFUSED = `addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
  console.error('the policy refuses', effectiveDirective, blockedURI))`

/** Toy sites that take part in whatever there is, until they are disposed of. */
export function toysAt(to: { readonly url: string; readonly key: NodeId }, count: number): Disposable {
  const stop = new AbortController()
  for (const site of LiveSite.toys(count)) void Array.fromAsync(site.live(to, stop.signal))
  return { [Symbol.dispose]: () => stop.abort() }
}

/** Presses Tab until what has the focus says that: past a page's last field Firefox would go on to its own. */
export async function tabTo(page: Page, pattern: RegExp): Promise<void> {
  for (let pressed = 0; pressed < 80; pressed++) {
    const name = await page.evaluate(() => {
      // Where nothing has the focus the body has, which says all of the page.
      const at = document.activeElement === document.body ? null : document.activeElement
      return at?.getAttribute('aria-label') ?? at?.textContent ?? ''
    })
    if (pattern.test(name)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`the keyboard does not get to ${pattern}`)
}

/** Until nothing has been asked for a while, but for the streams that stay. */
export async function settled(page: Page): Promise<void> {
  const traffic = trafficOf.get(page)
  const isQuiet = async () =>
    !traffic || (traffic.underWay.size === 0 && performance.now() - traffic.lastAt > QUIET_MILLIS)
  await comesTrue(isQuiet, BROWSER_MILLIS)
}

const QUIET_MILLIS = 200
const trafficOf = new WeakMap<Page, { readonly underWay: Set<HTTPRequest>; lastAt: number }>()

/**
 * What a page has asked for and not yet been given. Puppeteer counts what pages asked before that were left, too, and the
 * browser has not said the end of each: on a busy machine that was not quiet for two minutes.
 */
function watchTraffic(page: Page): void {
  const traffic = { underWay: new Set<HTTPRequest>(), lastAt: performance.now() }
  trafficOf.set(page, traffic)
  const ended = (asked: HTTPRequest) => {
    traffic.underWay.delete(asked)
    traffic.lastAt = performance.now()
  }
  page.on('request', (asked) => {
    if (asked.headers()['accept'] === 'text/event-stream') return
    traffic.underWay.add(asked)
    traffic.lastAt = performance.now()
  })
  // An answer whose body nobody reads is never said to be finished.
  page.on('response', (answer) => ended(answer.request()))
  page.on('requestfinished', ended)
  page.on('requestfailed', ended)
  page.on('framenavigated', (frame) => {
    if (frame === page.mainFrame()) traffic.underWay.clear()
  })
}

/** In each of its colours, and with little motion: nothing keeps anybody out. */
export async function isOpenToAll({ page, themes }: Stage, what: string): Promise<void> {
  for (const theme of themes) {
    if (themes.length > 1)
      await page.emulateMediaFeatures([
        { name: 'prefers-color-scheme', value: theme },
        { name: 'prefers-reduced-motion', value: theme === 'dark' ? 'reduce' : 'no-preference' },
      ])
    expect([what, theme, await violationsOn(page)]).toEqual([what, theme, []])
  }
}

/** By how many pixels a page is wider than its window: a scroll bar may have its own room there. */
export function sticksOut(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

/** Opens what a button asks for, by the keyboard. */
export async function press(page: Page, button: RegExp): Promise<void> {
  await tabTo(page, button)
  await page.keyboard.press('Enter')
}
