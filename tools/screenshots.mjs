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
  await page.goto(`${address.origin}/verify?run=${id}`)
  await says(page, /run_[\s\S]*Fetch and verify/)
  await press(page, 'Fetch and verify')
  await take(page, 'verify', /The record holds/)

  // Of a run without masks, since only there anybody knows what a model is worth at one site; and from another first model:
  // over one that nodes have answered to under masks they answer no more.
  const { task: cid } = await ask(`/v1/runs/${id}`)
  const task = { ...(await ask(`/v1/tasks/${cid}`)), name: 'digits, plain sums', seed: 'ab'.repeat(32) }
  const five = { min: 5, max: 5, quorum: 5 }
  const plain = { task, rounds: 6, budget: '600000', masking: 'none', cohort: five }
  const other = await ask('/v1/runs', plain)
  await page.goto(`${address.origin}/runs/${other.id}/matrix`)
  await says(page, /Completed/)
  await take(page, 'matrix', /Spread/)
  const { id: federation } = await ask('/v1/federations', {
    name: 'cardio',
    description: 'heart failure, seven hospitals',
  })
  await ask('/v1/api-keys', { name: 'nightly', scopes: ['runs:read', 'runs:write', 'models:read'] })
  await ask('/v1/webhook-endpoints', { url: 'https://hooks.example.org/consilium', description: 'the study desk' })
  await ask(`/v1/federations/${federation}/invites`, { operator: 'st-elsewhere' })
  await take(page, 'settings', /for st-elsewhere/, '/settings')
  await press(page, 'Invite a hospital')
  await page.type('dialog input', 'charite')
  await page.keyboard.press('Enter')
  await take(page, 'invite', /The invite is made/)

  async function ask(path, body) {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      ...(body && { 'idempotency-key': crypto.randomUUID() }),
    }
    const sent = body && { method: 'POST', body: JSON.stringify(body) }
    const answer = await fetch(address.origin + path, { headers, ...sent })
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`)
    return answer.json()
  }

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

function press(page, text) {
  return page.evaluate(`[...document.querySelectorAll('button')].find((one) => one.textContent === '${text}').click()`)
}

async function says(page, pattern) {
  await page.waitForFunction(`/${pattern.source}/.test(document.body.textContent)`, { timeout: 60_000 })
}
