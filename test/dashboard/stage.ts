import { expect } from '@jest/globals'
import type { Browser, Page } from 'puppeteer-core'
import { pageFiles } from '#cli/page-files.ts'
import type { NodeId } from '#protocol/ids.ts'
import { violationsOn } from '#test/axe.ts'
import { startChromium } from '#test/chromium.ts'
import { LiveSite } from '#test/live-site.ts'

/** Bundled once a process. */
export const filesHere = pageFiles('dashboard')

/** A run of three sites whose sums anybody may see. */
export const PLAIN = { masking: 'none', cohort: { min: 3, max: 3, quorum: 3 }, onFailures: 'pause' }

/** A browser at a coordinator's dashboard, and what should not have happened in it. */
export type Stage = AsyncDisposable & {
  readonly page: Page
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
  const browser: Browser = await startChromium(chromium)
  const page = await browser.newPage()
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
    ...{ page, complaints, elsewhere, text },
    goTo: async (path) => void (await page.goto(`${url}${path}`, { waitUntil: 'load' })),
    says: async (pattern) => {
      const until = ([source, flags]: readonly [string, string]) =>
        new RegExp(source, flags).test(document.body.textContent ?? '')
      const [source, flags] = [pattern.source, pattern.flags]
      await page.waitForFunction(until, { polling: 50, timeout: 30_000 }, [source, flags] as const).catch(async () => {
        throw new Error(`the page never said ${pattern}, but:\n${await text()}`)
      })
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

/** Toy sites that take part in whatever there is, until they are disposed of. */
export function toysAt(to: { readonly url: string; readonly key: NodeId }, count: number): Disposable {
  const stop = new AbortController()
  for (const site of LiveSite.toys(count)) void Array.fromAsync(site.live(to, stop.signal))
  return { [Symbol.dispose]: () => stop.abort() }
}

/** Presses Tab until what has the focus says that. */
export async function tabTo(page: Page, pattern: RegExp): Promise<void> {
  for (let pressed = 0; pressed < 80; pressed++) {
    await page.keyboard.press('Tab')
    const name = await page.evaluate(() => {
      const at = document.activeElement
      return at?.getAttribute('aria-label') ?? at?.textContent ?? ''
    })
    if (pattern.test(name)) return
  }
  throw new Error(`the keyboard does not get to ${pattern}`)
}

/** Until nothing has been asked for a while, but for the streams that stay. */
export async function settled(page: Page): Promise<void> {
  await page.waitForNetworkIdle({ idleTime: 200, concurrency: 4 })
}

/** In both colours, and with little motion: nothing keeps anybody out. */
export async function isOpenToAll({ page }: Stage, what: string): Promise<void> {
  for (const theme of ['light', 'dark']) {
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: theme },
      { name: 'prefers-reduced-motion', value: theme === 'dark' ? 'reduce' : 'no-preference' },
    ])
    expect([what, theme, await violationsOn(page)]).toEqual([what, theme, []])
  }
}

/** Opens what a button asks for, by the keyboard. */
export async function press(page: Page, button: RegExp): Promise<void> {
  await tabTo(page, button)
  await page.keyboard.press('Enter')
}
