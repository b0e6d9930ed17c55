import { expect, test } from '@jest/globals'
import type { Page } from 'puppeteer-core'
import { chromiumPath } from '#test/chromium.ts'
import { live } from '#test/coordinator/live.ts'
import { byKeyboard, everyPage, killedAndBack, type OpenStage, reference } from '#test/dashboard/scenes.ts'
import { filesHere, isOpenToAll, openStage } from '#test/dashboard/stage.ts'
import { comesTrue } from '#test/eventually.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip
const open: OpenStage = (url) => openStage(chromium as string, url)

inChromium(
  'every page keeps nobody out: signed out, empty, live, with a run over, and when the coordinator fails',
  () => everyPage(open),
  600_000,
)

inChromium(
  'by the keyboard alone somebody signs in, stops a run, and verifies another without a network',
  () => byKeyboard(open),
  300_000,
)

inChromium(
  'the API reference needs no key, opens at an operation, shows what it is made of, and is searched',
  () => reference(open),
  300_000,
)

inChromium(
  'a coordinator that is killed and comes back leaves neither a gap nor a repetition, and what happens is seen within 150 ms',
  () => killedAndBack(open),
  600_000,
)

inChromium(
  'a run that waits is told of on the overview however many newer ones there are, and in no more requests',
  async () => {
    await using at = await live({ dashboard: filesHere })
    const waits = { timing: { selectionMillis: 50 }, failuresMax: 1, onFailures: 'pause' }
    const { id } = (await (await at.launch(waits)).json()) as { readonly id: string }
    const statusOf = async () => ((await (await at.api(`/v1/runs/${id}`)).json()) as { readonly status: string }).status
    await comesTrue(async () => (await statusOf()) === 'paused')
    for (let newer = 0; newer < 9; newer++) await at.launch({ timing: { selectionMillis: 600_000 } })
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const asked: string[] = []
    stage.page.on(
      'request',
      (one) => void (/\/v1\/runs(\?|\/counts|\/\w+\/rounds)/.test(one.url()) && asked.push(one.url())),
    )
    await stage.goTo(`/#key=${at.key}`)
    await stage.says(/toy is paused/)
    expect(await stage.text()).toMatch(/Runs under way10.*1 waits for you.*1 came to nothing/)
    expect(await stage.text()).not.toContain('All is well')
    expect(await stage.page.$$eval('tbody tr', (rows) => rows.length)).toBe(10)
    expect(new Set(asked).size).toBe(5)
    expect(stage.complaints).toEqual([])
  },
  300_000,
)

inChromium(
  'ten thousand nodes are scrolled through without a stutter, sorted and filtered',
  async () => {
    await using at = await live({ dashboard: filesHere })
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await page.setRequestInterception(true)
    page.on('request', (asked) => {
      const to = new URL(asked.url())
      if (to.pathname !== '/v1/nodes') return void asked.continue()
      const after = Number(to.searchParams.get('after') ?? 0)
      const data = Array.from({ length: 200 }, (_, index) => nodeOf(after + index))
      const next = after + 200 < 10_000 ? String(after + 200) : null
      return void asked.respond({
        contentType: 'application/json',
        body: JSON.stringify({ data, has_more: next !== null, next }),
      })
    })
    await stage.goTo(`/nodes#key=${at.key}`)
    await stage.says(/10000 rows/)
    expect(await page.$eval('table', (table) => table.getAttribute('aria-rowcount'))).toBe('10001')
    const passes: number[] = []
    for (let pass = 0; pass < 3; pass++) passes.push(await millisAFrame(page))
    process.stderr.write(
      `script, style and layout of a frame of scrolling: ${passes.map((millis) => millis.toFixed(1)).join(', ')} ms\n`,
    )
    // Fifty frames a second leave twenty milliseconds, half of them for painting.
    expect(Math.min(...passes)).toBeLessThan(10)
    expect(await page.$$eval('tbody tr', (rows) => rows.length)).toBeLessThan(80)
    await page.evaluate("document.querySelector('.scroll').scrollTo(0, 1e9)")
    await stage.says(/z6Mk9999/)
    await isOpenToAll(stage, 'the end of the list')
    await page.type('input[type=search]', 'z6Mk1234')
    await stage.says(/1 of 10000 rows/)
  },
  300_000,
)

function nodeOf(index: number) {
  const id = `z6Mk${index}`.padEnd(48, 'x')
  const said = {
    backend: 'wasm',
    adapter: '',
    software: false,
    deterministic: true,
    memory_bytes: 2 ** 30,
    version: '1.0.0',
  }
  const times = { reported_at: '2026-01-01T00:00:00Z', stale_at: '2026-01-02T00:00:00Z' }
  const capability = { ...said, ...times, population: 'open', stale: false, speeds: [] }
  return { id, linked: index % 3 > 0, operator: `operator ${index % 70}`, standing: 'unchecked', capability }
}

/** Of the page's own thread: what else this machine does meanwhile is not counted. */
async function millisAFrame(page: Page): Promise<number> {
  await using devtools = {
    session: await page.createCDPSession(),
    [Symbol.asyncDispose]: () => devtools.session.detach(),
  }
  const { session } = devtools
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const spent = async () => {
    const { metrics } = await session.send('Performance.getMetrics')
    return metrics.filter(({ name }) => SPENT.includes(name)).reduce((sum, { value }) => sum + 1000 * value, 0)
  }
  const before = await spent()
  const frames = (await page.evaluate(SCROLLED)) as number
  return ((await spent()) - before) / frames
}

const SPENT = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration']

/** Scrolls a screenful every other frame, which is as fast as a wheel goes. @returns how many frames there were */
const SCROLLED = `new Promise((resolve) => {
  const box = document.querySelector('.scroll')
  let frames = 0
  const step = () => {
    box.scrollTop += 300
    if (++frames < 60) requestAnimationFrame(step)
    else resolve(frames)
  }
  requestAnimationFrame(step)
})`
