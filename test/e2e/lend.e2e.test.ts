import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser, Page } from 'puppeteer-core'
import { violationsOn } from '#test/axe.ts'
import { chromiumPath, startChromium } from '#test/chromium.ts'
import { type Live, live } from '#test/coordinator/live.ts'
import { temporaryFolder } from '#test/folder.ts'
import { filesHere, nodeBeside, runOf, says, textOf } from '#test/lend/page.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to lend to a coordinator\n')
const inChromium = chromium ? test : test.skip

let at: Live
let browser: Browser
let page: Page
const complaints: string[] = []
const elsewhere: string[] = []

beforeAll(async () => {
  if (!chromium) return
  at = await live({ lend: filesHere, graceMillis: 2000 })
  browser = await startChromium(chromium)
  page = await browser.newPage()
  const { url } = at.coordinator
  page.on('pageerror', (cause) => complaints.push(String(cause)))
  page.on('console', (said) => said.type() === 'error' && complaints.push(said.text()))
  page.on(
    'request',
    (asked) => /^(data:|blob:)/.test(asked.url()) || asked.url().startsWith(`${url}/`) || elsewhere.push(asked.url()),
  )
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await at?.[Symbol.asyncDispose]()
})

inChromium(
  'a browser lends itself by the keyboard alone, and trains plain and masked rounds with nodes of Node',
  async () => {
    await using folder = await temporaryFolder()
    const { url, id } = at.coordinator
    await using _first = await nodeBeside(at.coordinator, join(folder.path, 'first'))
    await using _second = await nodeBeside(at.coordinator, join(folder.path, 'second'))
    await page.goto(`${url}/lend#${id}`)
    for (const theme of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
      expect(await violationsOn(page)).toEqual([])
    }
    await page.focus('#lend')
    await page.keyboard.press('Enter')
    await says(page, 'state', /waiting for a round/)
    expect(await textOf(page, 'coordinator')).toBe(id)
    expect(await textOf(page, 'used')).toMatch(/^wasm/)
    const cohort = { min: 3, max: 3, quorum: 3 }
    expect(await runOf(at, { masking: 'none', cohort })).toMatchObject({ ok: true, masking: 'none' })
    await says(page, 'tasks', /1/)
    expect(await runOf(at, { masking: 'secagg/1', cohort })).toMatchObject({ ok: true, masking: 'secagg/1' })
    await says(page, 'tasks', /2/)
    expect(await page.title()).toMatch(/^[\d]+ samples\/s · 2 tasks/)
    expect(await textOf(page, 'receipts')).toMatch(/bafyrei/)
    expect(await violationsOn(page)).toEqual([])

    // What it earned, and who it is, outlive the page; pause and stop are keys, too.
    const node = await textOf(page, 'node')
    await page.reload()
    await page.focus('#lend')
    await page.keyboard.press('Enter')
    await says(page, 'state', /waiting for a round/)
    expect(await textOf(page, 'node')).toBe(node)
    expect((await page.$$('#receipts tr')).length).toBe(2)
    await page.keyboard.press('Enter')
    await says(page, 'state', /paused/)
    await page.keyboard.press('Enter')
    await says(page, 'state', /waiting for a round/)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    await says(page, 'state', /stopped/)
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('lend')
    expect(complaints).toEqual([])
    expect(elsewhere).toEqual([])
  },
  120_000,
)

inChromium('a coordinator with another key than at the first visit is refused loudly', async () => {
  await page.goto(`${at.coordinator.url}/lend#z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp`)
  await page.reload()
  await page.click('#lend')
  await says(page, 'problem', /Do not lend/)
  expect(await textOf(page, 'problem')).toContain('z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp')
  expect(await violationsOn(page)).toEqual([])
})
