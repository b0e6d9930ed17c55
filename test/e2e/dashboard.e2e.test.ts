import { expect, test } from '@jest/globals'
import { violationsOn } from '#test/axe.ts'
import { chromiumPath } from '#test/chromium.ts'
import { live } from '#test/coordinator/live.ts'
import { filesHere, openStage, PATIENT, PLAIN, tabTo, toysAt } from '#test/dashboard/stage.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip

inChromium(
  'a dashboard signs in by its address, shows a run live, verifies its record and stops another by the keyboard',
  async () => {
    await using at = await live({ dashboard: filesHere })
    const { url, id } = at.coordinator
    using _sites = toysAt({ url, key: id }, 3)
    await using stage = await openStage(chromium as string, url)
    const { page } = stage
    await stage.goTo(`/#key=${at.key}`)
    await stage.says(/No run has been launched yet/)
    // The key is gone from the address, and is kept nowhere that a script could read it.
    expect(page.url()).toBe(`${url}/`)
    expect(await page.evaluate(() => document.cookie + JSON.stringify([localStorage, sessionStorage]))).not.toContain(
      'ck_',
    )

    const headers = { 'content-type': 'application/json' }
    const wanted = JSON.stringify({ name: 'stranger', scopes: ['runs:read'] })
    const made = await at.api('/v1/api-keys', { method: 'POST', headers, body: wanted })
    const { key: theirs } = (await made.json()) as { readonly key: string }
    await stage.goTo(`/nodes#key=${theirs}`)
    await stage.says(/root|stranger/)
    expect(await stage.text()).not.toContain('stranger')
    await stage.goTo('/')

    const launched = await at.launch({ ...PLAIN, rounds: 2 })
    const { id: run } = (await launched.json()) as { readonly id: string }
    // By the feed: nothing was loaded again.
    await stage.says(/toy/)
    await page.$eval(`a[href="/runs/${run}"]`, (link) => link.click())
    await stage.says(/2 of 2[\s\S]*Show as table/)
    await stage.says(/Completed/)
    expect(await violationsOn(page)).toEqual([])
    await stage.goTo(`/verify?run=${run}`)
    await stage.says(/Fetch and verify/)
    await tabTo(page, /Fetch and verify/)
    await page.keyboard.press('Enter')
    await stage.says(/The record holds/)

    const waiting = await at.launch({ timing: PATIENT, cohort: { min: 4, max: 4, quorum: 4 } })
    const other = (await waiting.json()) as { readonly id: string }
    await stage.goTo(`/runs/${other.id}/timeline`)
    await stage.says(/Open for/)
    await tabTo(page, /^Stop$/)
    await page.keyboard.press('Enter')
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('looked at it')
    await page.keyboard.press('Enter')
    await stage.says(/Ended: looked at it/)
    expect(stage.complaints).toEqual([])
    expect(stage.elsewhere).toEqual([])
  },
  120_000,
)
