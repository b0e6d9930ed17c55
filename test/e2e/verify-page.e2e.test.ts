import { expect, test } from '@jest/globals'
import type { HTTPRequest } from 'puppeteer-core'
import { chromiumPath } from '#test/chromium.ts'
import { trained } from '#test/coordinator/trained.ts'
import { filesHere, openStage, press } from '#test/dashboard/stage.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to verify a record in a page\n')
const inChromium = chromium ? test : test.skip

inChromium(
  'the page proves the run that was chosen and no other, says which, and stops a download with its verification',
  async () => {
    await using given = await trained({ dashboard: filesHere })
    const { plain, masked, at } = given
    const bundle = async (run: string) => Buffer.from(await (await at.api(`/v1/runs/${run}/bundle`)).arrayBuffer())
    const bundles = new Map([
      [plain, await bundle(plain)],
      [masked, await bundle(masked)],
    ])
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await stage.goTo(`/#key=${at.key}`)
    await stage.says(/toy/)
    /** What comes as the record of the plain run, where anything does. */
    let told: string | undefined = masked
    await page.setRequestInterception(true)
    page.on('request', (request: HTTPRequest) => {
      if (!request.url().endsWith(`/v1/runs/${plain}/bundle`)) return void request.continue()
      const body = bundles.get(told ?? '')
      if (body) void request.respond({ status: 200, contentType: 'application/vnd.ipld.car', body })
    })
    await stage.goTo(`/verify?run=${plain}`)
    await stage.says(/Fetch and verify/)
    await press(page, /Fetch and verify/)
    await stage.says(/The record does not hold.*at the step run/)
    expect(await stage.text()).toMatch(new RegExp(`of ${masked}, .*of ${plain}`))

    told = plain
    await press(page, /Fetch and verify/)
    await stage.says(/The record holds/)
    expect(await page.$eval('.pairs', (pairs) => pairs.textContent)).toMatch(new RegExp(`^Run.*${plain.slice(-6)}`))

    told = undefined
    const stopped = new Promise<string>((resolve) =>
      page.on('requestfailed', (request) => resolve(`${request.url()} ${request.failure()?.errorText}`)),
    )
    await press(page, /Fetch and verify/)
    await stage.says(/Fetching the record/)
    await press(page, /^Cancel$/)
    expect(await stopped).toMatch(/bundle net::ERR_ABORTED$/)
    await stage.says(/StepsDrop a bundle here/)
    expect(await stage.text()).not.toMatch(/Fetching the record|could not be done|The record (holds|does not)/)
    expect(stage.complaints).toEqual([])
  },
  120_000,
)
