import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import type { HTTPRequest, Page } from 'puppeteer-core'
import { startCoordinatorProcess } from '#cli/demo/federation.ts'
import { chromiumPath } from '#test/chromium.ts'
import { live, request } from '#test/coordinator/live.ts'
import { filesHere, isOpenToAll, openStage, PLAIN, press, settled, toysAt } from '#test/dashboard/stage.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip

const placesOf = (run: string) => [
  ...['/', `/runs/${run}`, `/runs/${run}/timeline`, `/runs/${run}/rounds`, `/runs/${run}/matrix`, `/runs/${run}/logs`],
  ...['/nodes', '/money', '/verify', `/models/${run}`, '/settings', '/docs', `/runs/${run}/nothing`],
]

inChromium(
  'every page keeps nobody out: signed out, empty, live, with a run over, and when the coordinator fails',
  async () => {
    await using at = await live({ dashboard: filesHere })
    const { url, id } = at.coordinator
    await using stage = await openStage(chromium as string, url)
    await stage.goTo('/')
    await stage.says(/Sign in/)
    await isOpenToAll(stage, 'signed out')
    await stage.page.type('#key', 'ck_wrong')
    await stage.page.keyboard.press('Enter')
    await stage.says(/no key of this coordinator/)
    await isOpenToAll(stage, 'a wrong key')
    await stage.goTo(`/#key=${at.key}`)
    await stage.says(/No run has been launched yet/)
    for (const place of [
      '/',
      '/nodes',
      '/money',
      '/verify',
      '/settings',
      '/docs',
      '/runs/run_none',
      '/models/run_none',
    ]) {
      await stage.goTo(place)
      await settled(stage.page)
      await isOpenToAll(stage, `${place}, empty`)
    }

    using _sites = toysAt({ url, key: id }, 3)
    const over = (await (await at.launch({ ...PLAIN, rounds: 3 })).json()) as { readonly id: string }
    await (await at.api(`/v1/runs/${over.id}/events`, { headers: { accept: 'text/event-stream' } })).text()
    const waiting = { min: 4, max: 4, quorum: 4 }
    const open = (await (await at.launch({ cohort: waiting, timing: { selectionMillis: 600_000 } })).json()) as {
      readonly id: string
    }
    for (const run of [over.id, open.id])
      for (const place of placesOf(run)) {
        await stage.goTo(place)
        await settled(stage.page)
        await isOpenToAll(stage, `${place}, live`)
      }
    await stage.page.setViewport({ width: 400, height: 800 })
    for (const place of placesOf(over.id)) {
      await stage.goTo(place)
      await settled(stage.page)
      expect([place, await stage.page.evaluate('document.documentElement.scrollWidth')]).toEqual([place, 400])
      await isOpenToAll(stage, `${place}, on a telephone`)
    }
    await stage.page.setViewport({ width: 1280, height: 800 })

    await stage.page.setRequestInterception(true)
    const fail = (asked: HTTPRequest) => {
      const isData = new URL(asked.url()).pathname.startsWith('/v1/') && !asked.url().endsWith('/v1/session')
      const problem = { code: 'log_away', detail: 'its log does not answer' }
      if (isData)
        void asked.respond({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(problem) })
      else void asked.continue()
    }
    stage.page.on('request', fail)
    for (const place of placesOf(over.id).filter((path) => !path.endsWith('/nothing'))) {
      await stage.goTo(place)
      // What these show is no data of the coordinator's.
      if (!/^\/(verify|docs)/.test(place)) await stage.says(/could not be shown/)
      await isOpenToAll(stage, `${place}, failing`)
    }
    expect(stage.complaints).toEqual([])
    expect(stage.elsewhere).toEqual([])
  },
  600_000,
)

inChromium(
  'by the keyboard alone somebody signs in, stops a run, and verifies another without a network',
  async () => {
    await using at = await live({ dashboard: filesHere })
    const { url, id } = at.coordinator
    using _sites = toysAt({ url, key: id }, 3)
    const over = (await (await at.launch({ ...PLAIN, rounds: 2 })).json()) as { readonly id: string }
    await (await at.api(`/v1/runs/${over.id}/events`, { headers: { accept: 'text/event-stream' } })).text()
    await at.launch({ cohort: { min: 4, max: 4, quorum: 4 }, timing: { selectionMillis: 600_000 } })
    await using folder = await temporaryFolder()
    await using stage = await openStage(chromium as string, url)
    const { page } = stage
    await stage.goTo('/')
    await stage.says(/Sign in/)
    await page.waitForSelector('#key:focus')
    await page.keyboard.type(at.key)
    await page.keyboard.press('Enter')
    await stage.says(/Runs under way/)
    await press(page, /^toy$/)
    await stage.says(/Timeline/)
    await press(page, /^Stop$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.press('Escape')
    await page.waitForSelector('dialog', { hidden: true })
    await press(page, /^Stop$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('by the keyboard')
    await page.keyboard.press('Enter')
    await stage.says(/Ended: by the keyboard/)

    const bundle = new Uint8Array(await (await at.api(`/v1/runs/${over.id}/bundle`)).arrayBuffer())
    const [good, bad] = ['good', 'bad'].map((name) => `${folder.path}/${name}.car`) as [string, string]
    await writeFile(good, bundle)
    await writeFile(bad, bundle.with(bundle.length - 40, (bundle.at(-40) as number) ^ 1))
    await stage.goTo('/verify')
    await stage.says(/Drop a bundle here/)
    await settled(page)
    await page.setOfflineMode(true)
    const field = await page.$('input[type=file]')
    await field?.uploadFile(good)
    await stage.says(/The record holds/)
    await field?.uploadFile(bad)
    await stage.says(/The record does not hold/)
    await isOpenToAll(stage, 'a record that does not hold')
    expect(stage.complaints).toEqual([])
  },
  300_000,
)

inChromium(
  'the API reference needs no key, opens at an operation, shows what it is made of, and is searched',
  async () => {
    await using at = await live({ dashboard: filesHere })
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await stage.goTo('/docs#post-v1-runs')
    await stage.says(/With curl/)
    await page.evaluate("document.querySelectorAll('.parts summary').forEach((one) => one.click())")
    await stage.says(/proximalMicro/)
    await isOpenToAll(stage, 'an operation')
    await page.setViewport({ width: 400, height: 800 })
    await isOpenToAll(stage, 'an operation, narrow')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400)
    await page.type('input[type=search]', 'pause runs:write')
    await stage.says(/2 of \d+ rows/)
    await press(page, /v1\/runs\/\{id\}\/pause/)
    await stage.says(/the night shift needs its machines/)
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)

inChromium(
  'a coordinator that is killed and comes back leaves neither a gap nor a repetition, and what happens is seen within 150 ms',
  async () => {
    await using doors = new AsyncDisposableStack()
    const folder = doors.use(await temporaryFolder())
    const sites = LiveSite.toys(3)
    const nodes = sites.map(({ signer }) => signer.id)
    const start = (port: number) =>
      startCoordinatorProcess(folder.path, nodes, { port, graceMillis: 5000, own: (process) => doors.use(process) })
    const first = await start(0)
    const key = (await readFile(first.apiKeyFile, 'utf8')).trim()
    const stop = new AbortController()
    doors.defer(() => stop.abort())
    for (const site of sites) void Array.fromAsync(site.live(first, stop.signal))
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const body = JSON.stringify(request({ ...PLAIN, rounds: 40, failuresMax: 20 }))
    const { id } = (await (await fetch(`${first.url}/v1/runs`, { method: 'POST', headers, body })).json()) as {
      readonly id: string
    }
    const stage = doors.use(await openStage(chromium as string, first.url))
    await stage.goTo(`/runs/${id}/logs#key=${key}`)
    await stage.says(/Live[\s\S]*round\.completed/)
    await stage.page.evaluate(SEEN)
    await stage.says(/[5-9] of 40/)
    first.process.signal('SIGKILL')
    await first.process.ended
    await stage.says(/Reconnecting/)
    await start(Number(new URL(first.url).port))
    await stage.says(/Live/)
    await stage.says(/Completed/)
    const events = (await (await fetch(`${first.url}/v1/runs/${id}/events?limit=1000`, { headers })).json()) as {
      readonly data: readonly { readonly seq: number; readonly time: string }[]
      readonly has_more: boolean
    }
    const rows = await stage.page.$eval(
      'table[aria-rowcount]',
      (table) => Number(table.getAttribute('aria-rowcount')) - 1,
    )
    expect([rows, events.has_more]).toEqual([events.data.length, false])
    const seen = new Map((await stage.page.evaluate('window.seen')) as readonly (readonly [number, number])[])
    const times = new Map(events.data.map(({ seq, time }) => [seq, Date.parse(time)]))
    const waits = [...seen].map(([seq, at]) => at - (times.get(seq) ?? Number.NaN)).sort((a, b) => a - b)
    process.stderr.write(
      `${waits.length} events were seen ${waits[0]} to ${waits.at(-1)} ms after they happened, half of them within ${waits[waits.length >> 1]} ms\n`,
    )
    expect(waits[waits.length >> 1]).toBeLessThanOrEqual(150)
    expect(stage.complaints).toEqual([])
  },
  600_000,
)

/** Notes when the newest row first shows each number. */
const SEEN = `
  window.seen = []
  new MutationObserver(() => {
    const seq = Number(document.querySelector('tbody td')?.textContent)
    if (window.seen.at(-1)?.[0] !== seq) window.seen.push([seq, Date.now()])
  }).observe(document.body, { subtree: true, childList: true, characterData: true })`

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
