import { readFile, writeFile } from 'node:fs/promises'
import { expect } from '@jest/globals'
import type { HTTPRequest } from 'puppeteer-core'
import { startCoordinatorProcess } from '#cli/demo/federation.ts'
import { live, request } from '#test/coordinator/live.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'
import { freePort } from '#test/loopback.ts'
import { filesHere, isOpenToAll, PATIENT, PLAIN, press, type Stage, settled, sticksOut, toysAt } from './stage.ts'

/** A browser at the coordinator of that address. */
export type OpenStage = (url: string) => Promise<Stage>

const placesOf = (run: string) => [
  ...['/', `/runs/${run}`, `/runs/${run}/timeline`, `/runs/${run}/rounds`, `/runs/${run}/matrix`, `/runs/${run}/logs`],
  ...['/nodes', '/money', '/verify', `/models/${run}`, '/settings', '/docs', `/runs/${run}/nothing`],
]

/** Every page, with nothing in it, live, with a run over, and when the coordinator fails: it keeps nobody out. */
export async function everyPage(openAt: OpenStage): Promise<void> {
  await using at = await live({ dashboard: filesHere })
  const { url, id } = at.coordinator
  await using stage = await openAt(url)
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
  const open = (await (await at.launch({ timing: PATIENT, cohort: waiting })).json()) as {
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
    expect([place, await stage.page.evaluate('innerWidth'), await sticksOut(stage.page)]).toEqual([place, 400, 0])
    await isOpenToAll(stage, `${place}, on a telephone`)
  }
  await stage.page.setViewport({ width: 1280, height: 800 })

  await stage.page.setRequestInterception(true)
  const fail = (asked: HTTPRequest) => {
    const isData = new URL(asked.url()).pathname.startsWith('/v1/') && !asked.url().endsWith('/v1/session')
    const problem = { code: 'log_away', detail: 'its log does not answer' }
    const body = JSON.stringify(problem)
    // It asks again and again, until its browser is closed: the last answer may find nobody there, which Firefox's driver throws.
    if (isData) asked.respond({ status: 503, contentType: 'application/problem+json', body }).catch(() => undefined)
    else void asked.continue()
  }
  stage.page.on('request', fail)
  for (const place of placesOf(over.id).filter((path) => !path.endsWith('/nothing'))) {
    await stage.goTo(place)
    await stage.page.waitForSelector('h1')
    // What these show is no data of the coordinator's.
    if (!/^\/(verify|docs)/.test(place)) await stage.says(/could not be shown/)
    await isOpenToAll(stage, `${place}, failing`)
  }
  expect(stage.complaints).toEqual([])
  expect(stage.elsewhere).toEqual([])
}

/** Somebody signs in, stops a run, and verifies another without a network. */
export async function byKeyboard(openAt: OpenStage): Promise<void> {
  await using at = await live({ dashboard: filesHere })
  const { url, id } = at.coordinator
  using _sites = toysAt({ url, key: id }, 3)
  const over = (await (await at.launch({ ...PLAIN, rounds: 2 })).json()) as { readonly id: string }
  await (await at.api(`/v1/runs/${over.id}/events`, { headers: { accept: 'text/event-stream' } })).text()
  await at.launch({ timing: PATIENT, cohort: { min: 4, max: 4, quorum: 4 } })
  await using folder = await temporaryFolder()
  await using stage = await openAt(url)
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
}

/** The API reference opens at an operation, without a key, and is searched. */
export async function reference(openAt: OpenStage): Promise<void> {
  await using at = await live({ dashboard: filesHere })
  await using stage = await openAt(at.coordinator.url)
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
}

/**
 * A coordinator is killed while a run is looked at, and comes back. The page is there before a round begins, and again before
 * one goes on: a browser takes its time, and the run would be over.
 */
export async function killedAndBack(openAt: OpenStage): Promise<void> {
  await using doors = new AsyncDisposableStack()
  const folder = doors.use(await temporaryFolder())
  const sites = LiveSite.toys(3)
  const nodes = sites.map(({ signer }) => signer.id)
  const port = await freePort()
  const start = () =>
    startCoordinatorProcess(folder.path, nodes, { port, graceMillis: 5000, own: (process) => doors.use(process) })
  const first = await start()
  const key = (await readFile(first.apiKeyFile, 'utf8')).trim()
  const stop = new AbortController()
  doors.defer(() => stop.abort())
  const stage = doors.use(await openAt(first.url))
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'idempotency-key': 'the one run',
  }
  const body = JSON.stringify(request({ ...PLAIN, rounds: 40, failuresMax: 20 }))
  const { id } = (await (await fetch(`${first.url}/v1/runs`, { method: 'POST', headers, body })).json()) as {
    readonly id: string
  }
  await stage.goTo(`/runs/${id}/logs#key=${key}`)
  await stage.says(/Live[\s\S]*run\.created/)
  await stage.page.evaluate(SEEN)
  await Promise.all(sites.map((site) => site.takePart(first, ROUNDS_BEFORE)))
  await stage.says(new RegExp(`${ROUNDS_BEFORE} of 40`))
  first.process.signal('SIGKILL')
  await first.process.ended
  await stage.says(/Reconnecting/)
  await start()
  await stage.says(/Live/)
  for (const site of sites) void Array.fromAsync(site.live(first, stop.signal))
  await stage.says(/Completed/)
  const events = (await (await fetch(`${first.url}/v1/runs/${id}/events?limit=1000`, { headers })).json()) as {
    readonly data: readonly { readonly seq: number; readonly time: string }[]
    readonly has_more: boolean
  }
  // What the run's own stream brings may be drawn after the word that the run is over.
  const rows = () =>
    stage.page.$eval('table[aria-rowcount]', (table) => Number(table.getAttribute('aria-rowcount')) - 1)
  await comesTrue(async () => (await rows()) >= events.data.length)
  expect([await rows(), events.has_more]).toEqual([events.data.length, false])
  const seen = new Map((await stage.page.evaluate('window.seen')) as readonly (readonly [number, number])[])
  const times = new Map(events.data.map(({ seq, time }) => [seq, Date.parse(time)]))
  const waits = [...seen].map(([seq, at]) => at - (times.get(seq) ?? Number.NaN)).sort((a, b) => a - b)
  process.stderr.write(
    `${waits.length} events were seen ${waits[0]} to ${waits.at(-1)} ms after they happened, half of them within ${waits[waits.length >> 1]} ms\n`,
  )
  expect(waits[waits.length >> 1]).toBeLessThanOrEqual(150)
  expect(stage.complaints).toEqual([])
}

/** That the coordinator sees before it is killed. */
const ROUNDS_BEFORE = 8

/** Notes when the newest row first shows each number. */
const SEEN = `
  window.seen = []
  new MutationObserver(() => {
    const seq = Number(document.querySelector('tbody td')?.textContent)
    if (window.seen.at(-1)?.[0] !== seq) window.seen.push([seq, Date.now()])
  }).observe(document.body, { subtree: true, childList: true, characterData: true })`
