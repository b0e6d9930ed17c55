import { expect, test } from '@jest/globals'
import { formatFigure } from '#dashboard/format.ts'
import { chromiumPath } from '#test/chromium.ts'
import { live } from '#test/coordinator/live.ts'
import { filesHere, isOpenToAll, openStage, PATIENT, PLAIN, press, toysAt } from '#test/dashboard/stage.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip

inChromium(
  'each model at each site is told as the API tells it; what is masked is said to be',
  async () => {
    await using at = await live({ dashboard: filesHere })
    const { url, id } = at.coordinator
    using _sites = toysAt({ url, key: id }, 3)
    const over = async (body: object): Promise<string> => {
      const run = (await (await at.launch(body)).json()) as { readonly id: string }
      await (await at.api(`/v1/runs/${run.id}/events`, { headers: { accept: 'text/event-stream' } })).text()
      return run.id
    }
    const plain = await over({ ...PLAIN, rounds: 25 })
    await using stage = await openStage(chromium as string, url)
    const { page } = stage
    await stage.goTo(`/runs/${plain}/matrix#key=${at.key}`)
    await stage.says(/Show earlier models[\s\S]*Spread/)
    await isOpenToAll(stage, 'a matrix')
    await page.select('main select', 'loss')
    await press(page, /^Show earlier models$/)
    await stage.says(/first model/)
    type Row = {
      readonly round: number
      readonly sites: readonly { readonly node: string; readonly loss: number | null }[]
    }
    const { data: rows } = (await (await at.api(`/v1/runs/${plain}/matrix?limit=50`)).json()) as {
      data: readonly Row[]
    }
    expect(rows).toHaveLength(26)
    const told = await page.$$eval('.matrix tbody tr', (lines) =>
      lines.map((line) => [...line.querySelectorAll('td')].map((cell) => cell.textContent)),
    )
    const wanted = rows.map(({ sites }) =>
      sites.toSorted((a, b) => (a.node < b.node ? -1 : 1)).map(({ loss }) => formatFigure(loss)),
    )
    expect(told.map((line) => line.slice(1, 4))).toEqual(wanted)
    expect(told).toHaveLength(26)
    await isOpenToAll(stage, 'all of a matrix')

    // It is looked at while it goes: the last row comes with the round that tests the last model.
    const order = { rounds: 2, cohort: PLAIN.cohort, timing: PATIENT }
    const { id: masked } = (await (await at.launch(order)).json()) as { readonly id: string }
    await stage.goTo(`/runs/${masked}/matrix`)
    await stage.says(/Completed[\s\S]*Under secure aggregation only the sum/)
    await page.waitForFunction('document.querySelectorAll(".matrix tbody tr").length === 3')
    await isOpenToAll(stage, 'a matrix under masks')

    await page.setRequestInterception(true)
    let isAway = true
    page.on('request', (asked) => {
      const isMatrix = isAway && new URL(asked.url()).pathname.endsWith('/matrix') && asked.resourceType() === 'fetch'
      if (isMatrix)
        void asked.respond({ status: 503, contentType: 'application/problem+json', body: '{"detail":"away"}' })
      else void asked.continue()
    })
    await stage.goTo(`/runs/${masked}/matrix`)
    await stage.says(/could not be shown/)
    await isOpenToAll(stage, 'a matrix that is away')
    isAway = false
    await press(page, /^Try again$/)
    await stage.says(/first model/)
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)
