import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { HTTPRequest, Page } from 'puppeteer-core'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { chromiumPath } from '#test/chromium.ts'
import { consilium } from '#test/cli/command.ts'
import { type Live, live } from '#test/coordinator/live.ts'
import {
  filesHere,
  isOpenToAll,
  openStage,
  PLAIN,
  press,
  type Stage,
  settled,
  tabTo,
  toysAt,
} from '#test/dashboard/stage.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback } from '#test/loopback.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip

async function post<T>(at: Live, path: string, body: object): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  return (await (await at.api(path, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as T
}

async function listed<T>(at: Live, path: string): Promise<readonly T[]> {
  return ((await (await at.api(path)).json()) as { readonly data: readonly T[] }).data
}

/** What has the focus, by what it says of itself. */
function focusOn(page: Page): Promise<string> {
  return page.evaluate(
    () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
  )
}

/** What a dialog shows under that name, to be copied. */
function shownAs(page: Page, name: string): Promise<string> {
  return page.$$eval(
    'dialog .to-copy',
    (all, wanted) =>
      all.find((one) => one.querySelector('p')?.textContent === wanted)?.querySelector('code')?.textContent ?? '',
    name,
  )
}

/** Instead of what the field holds. */
async function retype(page: Page, text: string): Promise<void> {
  await page.keyboard.down('Control')
  await page.keyboard.press('a')
  await page.keyboard.up('Control')
  await page.keyboard.type(text)
}

/** It is shut before the page has heard of it: then whatever opens another would open none. */
async function closed(page: Page): Promise<void> {
  await page.waitForFunction('!document.querySelector("dialog")')
}

inChromium(
  'by the keyboard alone somebody makes a key and revokes it: it is shown once, not lost by Escape, and the focus is never lost',
  async () => {
    await using at = await live({ dashboard: filesHere })
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await stage.goTo(`/settings#key=${at.key}`)
    await stage.says(/No key has been made yet/)
    await press(page, /^Make a key$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.press('Escape')
    await closed(page)
    expect(await focusOn(page)).toBe('Make a key')
    await page.keyboard.press('Enter')
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('nightly')
    await page.keyboard.press('Tab')
    // It is for runs:read as it comes; without a scope it is refused, beside the boxes.
    await page.keyboard.press('Space')
    await page.keyboard.press('Enter')
    await stage.says(/must be at least one/)
    await page.waitForSelector('dialog .mistaken input:focus')
    await isOpenToAll(stage, 'a key that was refused')
    await page.keyboard.press('Space')
    await page.keyboard.press('Enter')
    await stage.says(/The key is made/)
    const key = await shownAs(page, 'API key')
    await isOpenToAll(stage, 'a key that is shown')
    await page.keyboard.press('Escape')
    expect(await shownAs(page, 'API key')).toBe(key)
    const who = await at.api('/v1/whoami', { headers: { authorization: `Bearer ${key}` } })
    expect(await who.json()).toMatchObject({ name: 'nightly', scopes: ['runs:read'], federation: null })
    await press(page, /^Done$/)
    await closed(page)
    expect(await focusOn(page)).toBe('Make a key')
    expect(await page.content()).not.toContain(key)

    await press(page, /^Revoke nightly$/)
    await page.waitForSelector('dialog[open]')
    await isOpenToAll(stage, 'a key about to be revoked')
    await press(page, /^Revoke$/)
    await closed(page)
    await stage.says(/No longer good: 1/)
    expect(await focusOn(page)).toBe('API keys')
    const after = await at.api('/v1/whoami', { headers: { authorization: `Bearer ${key}` } })
    expect(after.status).toBe(401)
    await isOpenToAll(stage, 'a key that was revoked')
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)

inChromium(
  'a key that was made without an answer is not made again: what is sent again is the same request',
  async () => {
    await using at = await live({ dashboard: filesHere })
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await stage.goTo(`/settings#key=${at.key}`)
    await stage.says(/No key has been made yet/)
    const sent: string[] = []
    const cookie = (await page.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
    const lose = async (asked: HTTPRequest) => {
      if (asked.method() !== 'POST') return asked.continue()
      sent.push(asked.headers()['idempotency-key'] ?? 'none')
      if (sent.length > 1) return asked.continue()
      const headers = { ...asked.headers(), cookie }
      const made = await fetch(asked.url(), { method: 'POST', headers, body: asked.postData() ?? '' })
      expect(made.status).toBe(201)
      return asked.abort()
    }
    await page.setRequestInterception(true)
    page.on('request', (asked) => void lose(asked))
    await press(page, /^Make a key$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('twice')
    await page.keyboard.press('Enter')
    await stage.says(/cannot be reached/)
    await page.keyboard.press('Enter')
    await stage.says(/The key is made/)
    expect(sent).toEqual([sent[0], sent[0]])
    expect(await listed(at, '/v1/api-keys')).toHaveLength(1)
    await press(page, /^Done$/)
    await closed(page)

    await press(page, /^Make a key$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('another')
    await page.keyboard.press('Enter')
    await stage.says(/The key is made/)
    expect(new Set(sent).size).toBe(2)
  },
  300_000,
)

inChromium(
  'by the keyboard alone somebody adds an endpoint, corrects its address, tests it, sends an event again and deletes it',
  async () => {
    const heard: string[] = []
    await using hook = await loopback((asked, answer) => {
      heard.push(String(asked.headers['webhook-id']))
      asked.resume()
      answer.writeHead(204).end()
    })
    await using at = await live({ dashboard: filesHere, webhookHosts: new Set([`127.0.0.1:${hook.port}`]) })
    const { url, id } = at.coordinator
    await using stage = await openStage(chromium as string, url)
    const { page } = stage
    await stage.goTo(`/settings#key=${at.key}`)
    await stage.says(/Nobody is told of anything yet/)
    await press(page, /^Add an endpoint$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('http://10.0.0.7/')
    await page.keyboard.press('Enter')
    await stage.says(/must be https/)
    await page.waitForSelector('dialog .mistaken input:focus')
    const told = await page.$eval('input:focus', (field) => [
      ...['name', 'aria-invalid'].map((name) => field.getAttribute(name)),
      document.getElementById(field.getAttribute('aria-describedby')?.split(' ').at(-1) ?? '')?.textContent,
    ])
    expect(told).toEqual(['url', 'true', expect.stringMatching(/must be https/)])
    await isOpenToAll(stage, 'an address that was refused')
    await retype(page, `${hook.url}/hooks`)
    await page.keyboard.press('Enter')
    await stage.says(/The endpoint is added/)
    const secret = await shownAs(page, 'Signing secret')
    expect(secret).toMatch(/^whsec_/)
    await press(page, /^Done$/)
    await closed(page)
    await press(page, /^Send a test: /)
    await stage.says(/Delivered: 204/)

    using _sites = toysAt({ url, key: id }, 3)
    const run = (await (await at.launch({ ...PLAIN })).json()) as { readonly id: string }
    await (await at.api(`/v1/runs/${run.id}/events`, { headers: { accept: 'text/event-stream' } })).text()
    await press(page, /^Latest deliveries$/)
    await stage.says(/run\.completed/)
    await isOpenToAll(stage, 'deliveries')
    expect(new Set(heard).size).toBe(heard.length)
    await press(page, /^Send again$/)
    await comesTrue(async () => new Set(heard).size < heard.length, 120_000)

    await press(page, /^Edit: /)
    await page.waitForSelector('dialog[open] input:focus')
    await isOpenToAll(stage, 'an endpoint that is edited')
    await tabTo(page, /^Save$/)
    await page.keyboard.press('Enter')
    await closed(page)
    await press(page, /^New secret: /)
    await page.waitForSelector('dialog[open] select:focus')
    await isOpenToAll(stage, 'a secret to be changed')
    await tabTo(page, /^New secret$/)
    await page.keyboard.press('Enter')
    await stage.says(/The secret is made/)
    expect(await shownAs(page, 'Signing secret')).toMatch(/^whsec_/)
    expect(await shownAs(page, 'Signing secret')).not.toBe(secret)
    await press(page, /^Done$/)
    await closed(page)
    await stage.says(/the old secret signs until /)
    await press(page, /^Switch off: /)
    await stage.says(/Off/)
    await press(page, /^Delete: /)
    await page.waitForSelector('dialog[open]')
    await press(page, /^Delete$/)
    await stage.says(/Nobody is told of anything yet/)
    expect(await focusOn(page)).toBe('Webhooks')
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)

inChromium(
  'a hospital joins by what the dashboard shows: the command as it is, after comparing the words',
  async () => {
    await using at = await live({ dashboard: filesHere, admits: new Map() })
    const { url, id } = at.coordinator
    await using folder = await temporaryFolder()
    await using stage = await openStage(chromium as string, url)
    const { page } = stage
    await stage.goTo(`/settings#key=${at.key}`)
    await stage.says(/There is no federation yet/)
    await press(page, /^Found a federation$/)
    await page.waitForSelector('dialog[open] input:focus')
    await isOpenToAll(stage, 'a federation to be founded')
    await page.keyboard.type('cardio')
    await page.keyboard.press('Enter')
    await stage.says(/No invite is open/)
    await isOpenToAll(stage, 'an empty federation')
    await press(page, /^Invite a hospital$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('St. Elsewhere')
    await page.keyboard.press('Enter')
    await page.waitForSelector('dialog .mistaken input:focus')
    await retype(page, 'st-elsewhere')
    await page.keyboard.press('Enter')
    await stage.says(/The invite is made/)
    await isOpenToAll(stage, 'an invite that is shown')
    const words = fingerprintOf(id)
    expect(await shownAs(page, 'Words to compare by telephone')).toBe(words)
    const [command, ...args] = (await shownAs(page, 'To be typed at the hospital')).split(' ')
    expect([command, ...args]).toEqual(['consilium', 'node', 'join', await shownAs(page, 'Code'), '--coordinator', url])
    const site = ['--state', join(folder.path, 'site')]
    const unasked = await consilium([...args, ...site])
    expect([unasked.code, unasked.stdout]).toEqual([2, expect.stringContaining(words)])
    expect((await consilium([...args, ...site, '--yes'])).code).toBe(0)
    await press(page, /^Done$/)
    await closed(page)
    await stage.goTo('/settings')
    await stage.says(/st-elsewhere[\s\S]*by an invite[\s\S]*No longer good: 1/)
    await isOpenToAll(stage, 'a federation with a member')

    const [member] = await listed<{ readonly node: string }>(
      at,
      `/v1/federations/${(await listed<{ readonly id: string }>(at, '/v1/federations'))[0]?.id}/members`,
    )
    await press(page, /^Remove st-elsewhere/)
    await page.waitForSelector('dialog[open]')
    await press(page, /^Remove$/)
    await stage.says(/Nobody is a member yet/)
    await press(page, /^Add a node$/)
    await page.waitForSelector('dialog[open] input:focus')
    await page.keyboard.type('z6Mkwrong')
    await page.keyboard.press('Enter')
    await stage.says(/must be a node id/)
    await retype(page, member?.node ?? '')
    await page.keyboard.press('Enter')
    await stage.says(/added by id/)
    await press(page, /^Rename cardio$/)
    await page.waitForSelector('dialog[open] input:focus')
    await isOpenToAll(stage, 'a federation that is renamed')
    await retype(page, 'heart')
    const [founded] = await listed<{ readonly id: string }>(at, '/v1/federations')
    const headers = { 'content-type': 'application/json' }
    const elsewhere = { method: 'PATCH', headers, body: JSON.stringify({ name: 'cardio-eu' }) }
    await at.api(`/v1/federations/${founded?.id}`, elsewhere)
    await page.keyboard.press('Enter')
    await stage.says(/Somebody has changed it meanwhile: it is called cardio-eu now/)
    await page.keyboard.press('Enter')
    await closed(page)
    await stage.says(/heart/)
    await press(page, /^Dissolve heart$/)
    await page.waitForSelector('dialog[open]')
    await press(page, /^Dissolve$/)
    await stage.says(/There is no federation yet/)
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)

inChromium(
  'what a key is not for is neither offered nor asked for: the scope that it takes is said instead',
  async () => {
    await using at = await live({ dashboard: filesHere })
    const run = (await (await at.launch({ timing: { selectionMillis: 600_000 } })).json()) as { readonly id: string }
    const fed = await post<{ readonly id: string }>(at, '/v1/federations', { name: 'cardio' })
    const keyOf = async (scopes: readonly string[], federation: string | null = null) =>
      (await post<{ readonly key: string }>(at, '/v1/api-keys', { name: scopes.join(), scopes, federation })).key
    const looked = async (key: string, place: string, says: RegExp): Promise<Stage> => {
      const stage = await openStage(chromium as string, at.coordinator.url)
      const refused: string[] = []
      stage.page.on('response', (answer) => {
        if (answer.status() === 403) refused.push(answer.url())
      })
      await stage.goTo(`${place}#key=${key}`)
      await stage.says(says)
      await settled(stage.page)
      expect(refused).toEqual([])
      await isOpenToAll(stage, `${place}, with few scopes`)
      return stage
    }
    const buttons = (stage: Stage) => stage.page.$$eval('main button', (all) => all.map((one) => one.textContent ?? ''))
    {
      await using stage = await looked(
        await keyOf(['runs:read']),
        '/settings',
        /lacks the scope keys:admin[\s\S]*webhooks:admin[\s\S]*federations:read/,
      )
      expect(await buttons(stage)).toEqual([])
      await stage.goTo(`/runs/${run.id}`)
      await stage.says(/lacks the scope runs:write/)
      expect((await buttons(stage)).filter((text) => /Stop|Pause/.test(text))).toEqual([])
    }
    {
      await using stage = await looked(
        await keyOf(['federations:read', 'runs:read']),
        '/settings',
        /cardio[\s\S]*lacks the scope federations:admin/,
      )
      expect((await buttons(stage)).filter((text) => /Invite|Add|Found|Dissolve/.test(text))).toEqual([])
    }
    {
      await using stage = await looked(
        await keyOf(['keys:admin', 'federations:admin', 'federations:read'], fed.id),
        '/settings',
        /Make a key/,
      )
      expect(await buttons(stage)).not.toContain('Found a federation')
      await press(stage.page, /^Make a key$/)
      await stage.page.waitForSelector('dialog[open] input:focus')
      const open = await stage.page.$$eval('dialog input[type=checkbox]:enabled', (all) =>
        all.map((one) => one.getAttribute('value')),
      )
      expect(open).toEqual(['federations:read', 'federations:admin', 'keys:admin'])
      await stage.page.waitForFunction('document.querySelector("dialog select").value !== ""')
      await isOpenToAll(stage, 'a key that another may make')
    }
  },
  300_000,
)
