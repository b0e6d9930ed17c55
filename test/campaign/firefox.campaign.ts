import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { type Live, live } from '#test/coordinator/live.ts'
import { byKeyboard, everyPage, killedAndBack, reference } from '#test/dashboard/scenes.ts'
import { isOpenToAll, openFirefoxStage, type Stage, sticksOut } from '#test/dashboard/stage.ts'
import { displayPath, startDisplay } from '#test/display.ts'
import { firefoxPath, type Preferences, type Theme, WITH_WEBGL, WITH_WEBGPU } from '#test/firefox.ts'
import { temporaryFolder } from '#test/folder.ts'
import { filesHere, nodeBeside, runOf, says, textOf } from '#test/lend/page.ts'
import { environmentOf, softwareVulkan } from '#test/vulkan.ts'

const firefox = firefoxPath()
if (!firefox)
  process.stderr.write(
    'skipped: there is no Firefox here (FIREFOX, or on the PATH) to open the pages of a coordinator\n',
  )
const inFirefox = firefox ? test : test.skip
const [xvfb, vulkan] = [displayPath(), softwareVulkan()]
if (firefox && !xvfb) process.stderr.write('skipped: no Xvfb here, without which Firefox draws nothing for pages\n')
const onDisplay = xvfb ? inFirefox : test.skip
const openIn = (theme: Theme) => (url: string) => openFirefoxStage(firefox as string, url, theme)

inFirefox(
  'Firefox lends by wasm beside nodes of Node, is in the signed record of plain and masked rounds, and comes again as itself',
  async () => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using _first = await nodeBeside(at.coordinator, join(folder.path, 'first'))
    await using _second = await nodeBeside(at.coordinator, join(folder.path, 'second'))
    await using stage = await openIn('light')(at.coordinator.url)
    const { page } = stage
    await stage.goTo(`/lend#${at.coordinator.id}`)
    await isOpenToAll(stage, 'before lending')
    await page.click('#lend')
    await says(page, 'state', /waiting for a round/)
    expect(await textOf(page, 'used')).toMatch(/^wasm/)
    const node = await textOf(page, 'node')
    const cohort = { min: 3, max: 3, quorum: 3 }
    for (const masking of ['none', 'secagg/1']) {
      const { nodes, ...redone } = await runOf(at, { masking, cohort })
      expect(redone).toMatchObject({ ok: true, masking })
      expect(nodes).toContain(node)
    }
    await says(page, 'tasks', /2/)
    await isOpenToAll(stage, 'after two rounds')

    await page.click('#stop')
    await says(page, 'state', /stopped/)
    await page.reload()
    await page.click('#lend')
    await says(page, 'state', /waiting for a round/)
    expect(await textOf(page, 'node')).toBe(node)
    expect((await page.$$('#receipts tr')).length).toBe(2)
    const { nodes } = await runOf(at, { masking: 'secagg/1', cohort })
    expect(nodes).toContain(node)
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)

inFirefox(
  'Firefox lends by WebGPU where it is switched on, and takes part in a round',
  async () => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using _node = await nodeBeside(at.coordinator, join(folder.path, 'node'))
    const environment = vulkan ? environmentOf(vulkan) : {}
    await using stage = await openFirefoxStage(firefox as string, at.coordinator.url, 'light', WITH_WEBGPU, environment)
    await lendsBy('webgpu', at, stage)
  },
  300_000,
)

onDisplay(
  'Firefox lends by WebGL where it has a display, and takes part in a round',
  async () => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using _node = await nodeBeside(at.coordinator, join(folder.path, 'node'))
    await using display = await startDisplay(xvfb as string)
    const { url } = at.coordinator
    await using stage = await openFirefoxStage(firefox as string, url, 'light', WITH_WEBGL, display.environment)
    await lendsBy('webgl', at, stage)
  },
  300_000,
)

/** A plain round with the node beside it. */
async function lendsBy(backend: string, at: Live, stage: Stage): Promise<void> {
  const { page } = stage
  await stage.goTo('/lend')
  await page.select('#backend', backend)
  await page.click('#lend')
  await says(page, 'state', /waiting for a round/)
  const [node, used, adapter] = await Promise.all(['node', 'used', 'adapter'].map((id) => textOf(page, id)))
  process.stderr.write(`${used}. ${adapter}\n`)
  expect(used).toMatch(new RegExp(`^${backend} `))
  const { nodes, ...redone } = await runOf(at, { masking: 'none', cohort: { min: 2, max: 2, quorum: 2 } })
  expect(redone).toMatchObject({ ok: true })
  expect(nodes).toContain(node)
  expect(stage.complaints).toEqual([])
}

const eachRefusal = firefox ? test.each : test.skip.each

eachRefusal<readonly [what: string, preferences: Preferences, missing: string, says: RegExp]>([
  [
    'a site that may keep nothing',
    { 'network.cookie.cookieBehavior': 2 },
    '',
    /lets this page keep nothing.*site data/,
  ],
  ['a site without room', { 'dom.quotaManager.temporaryStorage.fixedLimit': 40 }, '', /finds no room.*disk space/],
  ['no IndexedDB', {}, 'indexedDB', /no indexedDB.*site data/],
  ['no shared memory', {}, 'SharedArrayBuffer', /no SharedArrayBuffer.*update/],
  ['a proxy that takes the headers off', {}, 'crossOriginIsolated', /Open it without that proxy/],
])(
  'in Firefox a page that finds %s says so, how it is mended, and lends nothing',
  async (_what, preferences, missing, due) => {
    await using at = await live({ lend: filesHere })
    await using stage = await openFirefoxStage(firefox as string, at.coordinator.url, 'light', preferences)
    const { page } = stage
    if (missing)
      await page.evaluateOnNewDocument(`Object.defineProperty(globalThis, '${missing}', { value: undefined })`)
    await stage.goTo('/lend')
    await page.click('#lend')
    await says(page, 'problem', due)
    expect(await page.$eval('#work', (work) => (work as HTMLElement).hidden)).toBe(true)
    await isOpenToAll(stage, 'a refusal')
    expect(stage.complaints).toEqual([])
  },
  300_000,
)

inFirefox(
  'in a private window of Firefox a page lends, and is another node in the next one',
  async () => {
    await using at = await live({ lend: filesHere })
    const nodes: string[] = []
    for (const _window of [1, 2]) {
      const isPrivate = { 'browser.privatebrowsing.autostart': true }
      await using stage = await openFirefoxStage(firefox as string, at.coordinator.url, 'light', isPrivate)
      await stage.goTo('/lend')
      await stage.page.click('#lend')
      await says(stage.page, 'state', /waiting for a round/)
      nodes.push(await textOf(stage.page, 'node'))
      expect(stage.complaints).toEqual([])
    }
    expect(new Set(nodes).size).toBe(2)
  },
  300_000,
)

inFirefox(
  'in Firefox the page of lending fits 320 pixels in dark and with little motion, without WebGPU and WebGL, and trains by wasm',
  async () => {
    await using at = await live({ lend: filesHere })
    await using stage = await openIn('dark')(at.coordinator.url)
    const { page } = stage
    await page.setViewport({ width: 320, height: 640 })
    await stage.goTo('/lend')
    await says(page, 'adapter', /gives pages no graphics processor.*by WebAssembly/)
    expect(await page.evaluate("matchMedia('(prefers-reduced-motion)').matches")).toBe(true)
    await fits(stage, 'before')
    await page.click('#lend')
    await says(page, 'measured', /^wasm: [\d,]+ on an MLP/)
    expect(await textOf(page, 'passed-over')).toMatch(/webgpu: .*webgl: /)
    await fits(stage, 'lending')
    expect(stage.complaints).toEqual([])
  },
  300_000,
)

async function fits(stage: Stage, what: string): Promise<void> {
  expect([what, await sticksOut(stage.page)]).toEqual([what, 0])
  await isOpenToAll(stage, what)
}

inFirefox(
  'in Firefox every page of the dashboard keeps nobody out, in light',
  () => everyPage(openIn('light')),
  600_000,
)

inFirefox(
  'in Firefox, in dark and with little motion, somebody signs in, stops a run, and verifies another without a network',
  () => byKeyboard(openIn('dark')),
  300_000,
)

inFirefox('in Firefox the API reference comes up under its policy', () => reference(openIn('dark')), 300_000)

inFirefox(
  'in Firefox a coordinator that is killed and comes back leaves neither a gap nor a repetition',
  () => killedAndBack(openIn('light')),
  600_000,
)
