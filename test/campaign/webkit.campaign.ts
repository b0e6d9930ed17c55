import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { live } from '#test/coordinator/live.ts'
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
    for (const masking of ['none', 'secagg/1'])
      expect(await runOf(at, { masking, cohort })).toMatchObject({ ok: true, masking })
    await webkit.says('tasks', /2/)
    const [node, used, problem] = await webkit.ask<readonly string[]>(
      "return ['node', 'used', 'problem'].map((id) => document.getElementById(id).textContent)",
    )
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
