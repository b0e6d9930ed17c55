import { expect, test } from '@jest/globals'
import type { HTTPRequest } from 'puppeteer-core'
import { violationsOn } from '#test/axe.ts'
import { chromiumPath } from '#test/chromium.ts'
import { live } from '#test/coordinator/live.ts'
import { filesHere, openStage } from '#test/dashboard/stage.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip

const PAID = 450
const payouts = Array.from({ length: PAID }, (_, index) => ({
  ...{ node: `z6Mk${index}`, operator: null, amount: '1000', run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' },
  ...{ round: PAID - index, receipt: `bafy${index}` },
}))

/** What a coordinator answers that has paid that often. */
function answerOf(asked: string): string {
  const { searchParams } = new URL(asked)
  const from = Number(searchParams.get('after') ?? 0)
  const next = from + Number(searchParams.get('limit'))
  const more = next < PAID
  return JSON.stringify({ data: payouts.slice(from, next), has_more: more, next: more ? String(next) : null })
}

inChromium(
  'payouts that are not shown are told of, shown when they are asked for, and in the CSV whatever is shown',
  async () => {
    await using at = await live({ dashboard: filesHere })
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await page.evaluateOnNewDocument(() => {
      URL.createObjectURL = (blob) => {
        void (blob as Blob).text().then((text) => Object.assign(globalThis, { saved: text }))
        return '#saved'
      }
    })
    await page.setRequestInterception(true)
    page.on('request', (asked: HTTPRequest) => {
      const isPayouts = asked.url().includes('/v1/payouts')
      void (isPayouts
        ? asked.respond({ contentType: 'application/json', body: answerOf(asked.url()) })
        : asked.continue())
    })
    const rows = () =>
      page.$eval(
        'table[aria-label="Payouts"], [aria-label="Payouts"] table',
        (table) => Number(table.getAttribute('aria-rowcount')) - 1,
      )

    await stage.goTo(`/money#key=${at.key}`)
    await stage.says(/These are the newest 200; the CSV has all/)
    expect(await rows()).toBe(200)
    await page.locator('::-p-text(Show older payouts)').click()
    await stage.says(/These are the newest 400/)
    expect(await rows()).toBe(400)
    expect(await violationsOn(page)).toEqual([])

    await page.locator('::-p-xpath(//section[.//h2="Payouts"]//button[.="CSV"])').click()
    await page.waitForFunction(() => 'saved' in globalThis)
    const saved = await page.evaluate(() => (globalThis as unknown as { readonly saved: string }).saved)
    expect(saved.trimEnd().split('\r\n')).toHaveLength(1 + PAID)

    await page.locator('::-p-text(Show older payouts)').click()
    await page.waitForFunction(() => !document.body.textContent?.includes('These are the newest'))
    expect(await rows()).toBe(PAID)
    expect(stage.complaints).toEqual([])
  },
  120_000,
)
