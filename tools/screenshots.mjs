// Takes docs/screenshots/ again: a demo of this clone, its dashboard in Chromium, every page in light and dark.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromiumPath, startChromium } from '../test/chromium.ts'
import { smallPng } from './small-png.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = join(root, 'docs/screenshots')
const state = mkdtempSync(join(tmpdir(), 'consilium-screenshots-'))
const chromium = chromiumPath()
if (!chromium) throw new Error('there is no Chromium here (CHROMIUM, or on the PATH)')

const args = ['demo', '--rounds', '12', '--keep', '--json', '--folder', join(state, 'demo')]
const demo = spawn(process.execPath, [join(root, 'cli/bin.js'), ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
const said = createInterface({ input: demo.stdout })
const browser = await startChromium(chromium)
try {
  const page = await browser.newPage()
  await page.setViewport({ width: 1280, height: 800 })
  let address
  for await (const line of said) {
    const { type, url } = JSON.parse(line)
    if (type === 'demo.dashboard') address = new URL(url)
    // The demo's own last word: the run is over, and verified.
    if (type === 'run.completed') break
  }
  mkdirSync(folder, { recursive: true })
  await page.goto(address.origin)
  await take(page, 'sign-in', /Sign in/)
  const key = readFileSync(join(state, 'demo/coordinator/api-key'), 'utf8').trim()
  await page.goto(`${address.href}#key=${key}`)
  await says(page, /Completed/)
  const run = address.pathname
  const id = run.split('/').at(-1)
  await take(page, 'overview', /Accuracy of/, '/')
  await take(page, 'curves', /Time a round/, run)
  await take(page, 'timeline', /critical path/, `${run}/timeline`)
  await take(page, 'rounds', /evaluate/, `${run}/rounds`)
  await take(page, 'logs', /run\.completed/, `${run}/logs`)
  await take(page, 'nodes', /5 rows/, '/nodes')
  await take(page, 'money', /Budgets/, '/money')
  await take(page, 'card', /Download the model/, `/models/${id}`)
  await take(page, 'settings', /OpenAPI/, '/settings')
  await page.goto(`${address.origin}/verify?run=${id}`)
  await says(page, /run_[\s\S]*Fetch and verify/)
  await page.evaluate("[...document.querySelectorAll('button')].find((one) => /Fetch/.test(one.textContent)).click()")
  await take(page, 'verify', /The record holds/)

  async function take(page, name, pattern, path) {
    if (path) await page.goto(address.origin + path)
    await says(page, pattern)
    await page.waitForNetworkIdle({ idleTime: 300, concurrency: 4 })
    for (const theme of ['light', 'dark']) {
      await page.emulateMediaFeatures([
        { name: 'prefers-color-scheme', value: theme },
        { name: 'prefers-reduced-motion', value: 'reduce' },
      ])
      await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))')
      const png = smallPng(Buffer.from(await page.screenshot()))
      writeFileSync(join(folder, `${name}-${theme}.png`), png)
      process.stdout.write(`${name}-${theme}.png  ${png.length} bytes\n`)
    }
  }
} finally {
  await browser.close()
  demo.kill('SIGINT')
  await new Promise((resolve) => demo.once('exit', resolve))
  rmSync(state, { recursive: true, force: true })
}

async function says(page, pattern) {
  await page.waitForFunction(`/${pattern.source}/.test(document.body.textContent)`, { timeout: 60_000 })
}
