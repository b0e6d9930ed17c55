import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { chromiumPath, type Opened, openPage } from '#test/chromium.ts'
import { live, request } from '#test/coordinator/live.ts'
import { comesTrue } from '#test/eventually.ts'
import { LiveSite } from '#test/live-site.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) for the SDK in a page\n')
const inChromium = chromium ? test : test.skip

let opened: Opened
beforeAll(async () => {
  if (chromium) opened = await openPage(chromium, join(import.meta.dirname, 'page.ts'))
})
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]()
})

function there(call: string): Promise<unknown> {
  return opened.page.evaluate(`import('/module.js').then((page) => page.${call})`)
}

inChromium(
  'a page of an origin that is listed launches a run, follows it and checks its model, with a key and never by cookie',
  async () => {
    const { origin } = new URL(opened.page.url())
    await using at = await live({ origins: new Set([origin]) })
    const { url, id: key } = at.coordinator
    const end = new AbortController()
    const lives = LiveSite.toys(3).map(async (site) => {
      for await (const _ of site.live({ url, key }, end.signal));
    })
    await comesTrue(async () => {
      const { data } = (await (await at.api('/v1/nodes')).json()) as { data: unknown[] }
      return data.length === 3
    })
    const order = { ...request(), masking: 'none', cohort: { min: 3, max: 3, quorum: 3 } }
    const given = JSON.stringify({ key: at.key, order })
    expect(await there(`used('${url}', ${given})`)).toEqual({
      ...{ status: 'completed', model: expect.stringMatching(/^bafy/), last: 'run.completed', etag: true },
    })
    end.abort()
    await Promise.all(lives)

    const session = JSON.stringify({ key: at.key })
    const signIn = { method: 'POST', body: session, headers: { 'content-type': 'application/json' } }
    const [pair = ''] = (await fetch(`${url}/v1/session`, signIn)).headers.get('set-cookie')?.split(';') ?? []
    const [name = '', value = ''] = pair.split(/=(.*)/)
    await opened.page.browserContext().setCookie({ name, value, domain: '127.0.0.1', path: '/', httpOnly: true })
    expect(await there(`asked('${url}/v1/session')`)).toBe('TypeError')
  },
  60_000,
)

inChromium('a page of any other origin gets no answer that it could read', async () => {
  await using at = await live()
  const given = JSON.stringify({ key: at.key, order: request() })
  expect(await there(`used('${at.coordinator.url}', ${given})`)).toBe('ConnectionError')
  const { data } = (await (await at.api('/v1/runs')).json()) as { data: unknown[] }
  expect(data).toEqual([])
})
