import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { violationsBy } from '#test/axe.ts'
import { live } from '#test/coordinator/live.ts'
import { filesHere as dashboard, PLAIN, toysAt } from '#test/dashboard/stage.ts'
import { displayPath, startDisplay } from '#test/display.ts'
import { temporaryFolder } from '#test/folder.ts'
import { filesHere, nodeBeside, runOf } from '#test/lend/page.ts'
import { startWebKit, webkitPath } from '#test/webkit.ts'

const [driver, xvfb] = [webkitPath(), displayPath()]
if (!driver || !xvfb)
  process.stderr.write(
    'skipped: there is no WebKit here to lend to a coordinator (WebKitWebDriver and Xvfb, both on the PATH)\n',
  )
const inWebKit = driver && xvfb ? test : test.skip

/** Safari gives it to a page that is kept apart from others; WebKitGTK does where it is told to. */
const SHARED_MEMORY = { JSC_useSharedArrayBuffer: '1' }

inWebKit(
  'WebKit lends by wasm, takes part in plain and masked rounds that verify, and is the same node when it is loaded again',
  async () => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using _first = await nodeBeside(at.coordinator, join(folder.path, 'first'))
    await using _second = await nodeBeside(at.coordinator, join(folder.path, 'second'))
    await using display = await startDisplay(xvfb as string)
    await using webkit = await startWebKit(driver as string, { ...display.environment, ...SHARED_MEMORY })
    await webkit.goTo(`${at.coordinator.url}/lend`)
    await webkit.says('adapter', /^This browser/)
    await webkit.press('lend')
    await webkit.says('state', /waiting for a round/)
    const cohort = { min: 3, max: 3, quorum: 3 }
    const records: (readonly string[])[] = []
    for (const masking of ['none', 'secagg/1']) {
      const { nodes, ...redone } = await runOf(at, { masking, cohort })
      expect(redone).toMatchObject({ ok: true, masking })
      records.push(nodes)
    }
    await webkit.says('tasks', /2/)
    const [node, used, problem, others] = await webkit.ask<readonly string[]>(
      "return ['node', 'used', 'problem', 'passed-over'].map((id) => document.getElementById(id).textContent)",
    )
    process.stderr.write(`${used}, and no ${others}\n`)
    expect(records.map((nodes) => nodes.includes(node as string))).toEqual([true, true])
    expect([used, problem]).toEqual([expect.stringMatching(/^wasm/), ''])
    await webkit.press('stop')
    await webkit.says('state', /stopped/)
    await webkit.goTo(`${at.coordinator.url}/lend`)
    await webkit.press('lend')
    await webkit.says('state', /waiting for a round/)
    await webkit.says('node', new RegExp(node as string))
  },
  300_000,
)

inWebKit(
  'WebKit without memory that threads share says so, how it is mended, and lends nothing',
  async () => {
    await using at = await live({ lend: filesHere })
    await using display = await startDisplay(xvfb as string)
    await using webkit = await startWebKit(driver as string, display.environment)
    await webkit.goTo(`${at.coordinator.url}/lend`)
    await webkit.says('problem', /no SharedArrayBuffer.*use another one/)
    expect(await webkit.ask("return document.getElementById('lend').disabled")).toBe(true)
  },
  300_000,
)

inWebKit(
  'in WebKit the dashboard shows a run live, keeps nobody out, and verifies its record',
  async () => {
    await using at = await live({ dashboard })
    const { url, id } = at.coordinator
    using _sites = toysAt({ url, key: id }, 3)
    await using display = await startDisplay(xvfb as string)
    await using webkit = await startWebKit(driver as string, display.environment)
    await webkit.goTo(`${url}/#key=${at.key}`)
    await webkit.says('app', /No run has been launched yet/)
    const { id: run } = (await (await at.launch({ ...PLAIN, rounds: 3 })).json()) as { readonly id: string }
    // By the feed: nothing was loaded again.
    await webkit.says('app', /toy/)
    await webkit.goTo(`${url}/runs/${run}`)
    await webkit.says('app', /Completed[\s\S]*Show as table/)
    expect(await violationsBy(webkit.ask)).toEqual([])
    await webkit.goTo(`${url}/docs#post-v1-runs`)
    await webkit.says('app', /With curl/)
    await webkit.goTo(`${url}/verify?run=${run}`)
    await webkit.says('app', /Fetch and verify/)
    await webkit.ask(`
      const buttons = [...document.querySelectorAll('button')]
      buttons.find(({ textContent }) => textContent === 'Fetch and verify').click()`)
    await webkit.says('app', /The record holds/)
    expect(await violationsBy(webkit.ask)).toEqual([])
  },
  300_000,
)
