import type { Page } from 'puppeteer-core'
import { startChromium } from '#test/chromium.ts'

export type PageLoad = {
  /** From the navigation to the first text or picture, in milliseconds. */
  readonly paintMillis: number
  /** Until everything that it needs at first has come and run, in milliseconds. */
  readonly loadMillis: number
  /** Bytes on the line, compressed, with headers; without what is fetched ahead for later. */
  readonly transferredBytes: number
}

/** The number of an event in its run, and when its row was on the screen, in Unix milliseconds. */
export type Painted = readonly [seq: number, at: number]

export type PageLoads = AsyncDisposable & {
  load(url: string): Promise<PageLoad>
  /** @param url a run's page of events @returns once the page says `until` */
  watch(url: string, until: string): Promise<readonly Painted[]>
}

/** Pages in one Chromium, each as to somebody who was never there. */
export async function openPageLoads(chromium: string): Promise<PageLoads> {
  const browser = await startChromium(chromium)
  async function at<T>(url: string, act: (page: Page) => Promise<T>): Promise<T> {
    const context = await browser.createBrowserContext()
    try {
      const page = await context.newPage()
      await page.goto(url, { waitUntil: 'load' })
      return await act(page)
    } finally {
      await context.close()
    }
  }
  return {
    load: (url) => at(url, async (page) => (await page.evaluate(LOADED)) as PageLoad),
    watch: (url, until) =>
      at(url, async (page) => {
        await page.evaluate(WATCH)
        await page.waitForFunction(`document.body.textContent.includes(${JSON.stringify(until)})`, { polling: 200 })
        return (await page.evaluate('window.painted')) as readonly Painted[]
      }),
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

/** What the browser itself measured: Paint Timing, Navigation Timing, Resource Timing. */
const LOADED = `new Promise((resolve) => {
  const tell = () => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0]
    const [page] = performance.getEntriesByType('navigation')
    if (!paint || page.loadEventEnd === 0) return void setTimeout(tell, 10)
    const later = new Set([...document.querySelectorAll('link[rel=prefetch]')].map(({ href }) => href))
    const all = [page, ...performance.getEntriesByType('resource').filter(({ name }) => !later.has(name))]
    const transferredBytes = all.reduce((sum, { transferSize }) => sum + transferSize, 0)
    resolve({ paintMillis: paint.startTime, loadMillis: page.loadEventEnd, transferredBytes })
  }
  tell()
})`

/** The newest event is the first row. What changed is on the screen when the frame after the change's own begins. */
const WATCH = `
  window.painted = []
  new MutationObserver(() => {
    const seq = Number(document.querySelector('tbody td')?.textContent)
    if (window.last === seq) return
    window.last = seq
    requestAnimationFrame(() => requestAnimationFrame(() => window.painted.push([seq, Date.now()])))
  }).observe(document.body, { subtree: true, childList: true, characterData: true })`
