import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { temporaryFolder } from '#test/folder.ts'
import { type Live, live } from './live.ts'

type Pin = { readonly cid: string; readonly name?: string; readonly origins?: string[]; readonly meta?: object }
type Status = { requestid: string; status: string; created: string; pin: Pin; delegates: string[]; info?: object }
type Results = { count: number; results: Status[] }

const cid = (name: string) => cidOf(RAW, utf8(name))
const path = '/v1/pinning/pins'

async function ask<T>(at: Live, suffix: string, method = 'GET', body?: unknown): Promise<readonly [number, T]> {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const answer = await at.api(`${path}${suffix}`, { method, ...init })
  const text = await answer.text()
  return [answer.status, (text === '' ? undefined : JSON.parse(text)) as T]
}
const add = async (at: Live, pin: Pin) => (await ask<Status>(at, '', 'POST', pin))[1]
const find = async (at: Live, query: string) => (await ask<Results>(at, `?${query}`))[1]
const names = async (at: Live, query: string) => (await find(at, query)).results.map(({ pin }) => pin.name)
const ALL = 'status=queued,pinning,pinned,failed'

describe('the pinning API', () => {
  test('answers a pin as it was given, under an id of its own, with somebody to send the blocks to', async () => {
    await using at = await live()
    const pin = { cid: cid('a'), name: 'Ünïted; DROP TABLE', origins: ['/ip4/127.0.0.1/tcp/4001'], meta: { app: '1' } }
    const [status, added] = await ask<Status>(at, '', 'POST', pin)
    expect(status).toBe(202)
    expect(added).toMatchObject({ status: 'queued', pin })
    expect(added.delegates).toEqual([expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/http\/p2p\/12D3Koo\w+$/)])
    expect(await ask<Status>(at, `/${added.requestid}`)).toEqual([200, added])
    const again = await add(at, pin)
    expect(again.requestid).not.toBe(added.requestid)
    expect(Date.parse(again.created)).toBeGreaterThan(Date.parse(added.created))
    expect((await add(at, { cid: cid('b') })).pin).toEqual({ cid: cid('b'), origins: [], meta: {} })
  })

  test('finds pins by CID in any spelling, status, name, notes and time, and tells how many there are', async () => {
    await using at = await live()
    const made: Status[] = []
    for (const [index, name] of ['Alpha', 'alpha', 'Alphabet', 'beta'].entries())
      made.push(await add(at, { cid: cid(name), name, meta: { index: `${index}`, all: 'yes' } }))
    expect(await names(at, 'name=alpha')).toEqual(['alpha'])
    expect(await names(at, 'name=ALPHA&match=iexact')).toEqual(['alpha', 'Alpha'])
    expect(await names(at, 'name=Alph&match=partial')).toEqual(['Alphabet', 'Alpha'])
    expect(await names(at, 'name=LPH&match=ipartial')).toEqual(['Alphabet', 'alpha', 'Alpha'])
    const spelt = CID.parse(cid('beta')).toString(base36)
    expect(await names(at, `cid=${cid('Alpha')},${spelt}`)).toEqual(['beta', 'Alpha'])
    expect(await names(at, `cid=${cid('Alpha')}&cid=${cid('beta')}`)).toEqual(['beta', 'Alpha'])
    const notes = (meta: object) => `meta=${encodeURIComponent(JSON.stringify(meta))}`
    expect(await names(at, notes({ all: 'yes', index: '2' }))).toEqual(['Alphabet'])
    expect(await names(at, notes({ all: 'no' }))).toEqual([])
    const { created } = made[2] as Status
    expect(await names(at, `${ALL}&before=${created}`)).toEqual(['alpha', 'Alpha'])
    expect(await names(at, `${ALL}&after=${created}`)).toEqual(['beta'])
    expect(await find(at, `${ALL}&limit=1`)).toMatchObject({ count: 4, results: [{ pin: { name: 'beta' } }] })
    // Without any filter only what is pinned is told, also where it is read by pages.
    for (const query of ['', 'limit=5', `before=${new Date(Date.now() + 60_000).toISOString()}`])
      expect(await find(at, query)).toEqual({ count: 0, results: [] })
  })

  test('tells pins ten at a time, and pages by time lose none and repeat none', async () => {
    await using at = await live()
    await Promise.all(Array.from({ length: 23 }, (_, index) => add(at, { cid: cid(`${index}`), name: `${index}` })))
    const seen: string[] = []
    for (let before = ''; ; ) {
      const { count, results } = await find(at, `${ALL}${before && `&before=${before}`}`)
      expect(count).toBe(23 - seen.length)
      seen.push(...results.map(({ requestid }) => requestid))
      if (results.length === count) break
      expect(results).toHaveLength(10)
      before = results.at(-1)?.created ?? ''
    }
    expect(new Set(seen).size).toBe(23)
    expect(seen).toHaveLength(23)
  })

  test('puts a pin in the place of another, and lets pins go', async () => {
    await using at = await live()
    const old = await add(at, { cid: cid('old') })
    const [status, fresh] = await ask<Status>(at, `/${old.requestid}`, 'POST', { cid: cid('new') })
    expect([status, fresh.pin.cid]).toEqual([202, cid('new')])
    expect((await ask(at, `/${old.requestid}`))[0]).toBe(404)
    expect((await ask(at, `/${old.requestid}`, 'POST', { cid: cid('new') }))[0]).toBe(404)
    expect(await ask(at, `/${fresh.requestid}`, 'DELETE')).toEqual([202, undefined])
    expect((await ask(at, `/${fresh.requestid}`, 'DELETE'))[0]).toBe(404)
    expect((await find(at, ALL)).count).toBe(0)
  })

  test('answers nobody without the key, and says so in the shape of this API', async () => {
    await using at = await live()
    for (const [suffix, method] of [
      ['', 'GET'],
      ['', 'POST'],
      ['/x', 'GET'],
      ['/x', 'POST'],
      ['/x', 'DELETE'],
    ] as const) {
      const answer = await at.api(`${path}${suffix}`, { method, headers: { authorization: 'Bearer nonsense' } })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toEqual({ error: { reason: 'UNAUTHORIZED', details: expect.any(String) } })
    }
    expect(await ask(at, '/pin_unknown')).toEqual([
      404,
      { error: { reason: 'NOT_FOUND', details: expect.any(String) } },
    ])
  })

  test('keeps its pins over a restart of everything but the disk', async () => {
    await using folder = await temporaryFolder()
    let before: Results
    {
      await using at = await live({ state: folder.path })
      await add(at, { cid: cid('kept'), name: 'kept' })
      const { requestid } = await add(at, { cid: cid('gone') })
      await ask(at, `/${requestid}`, 'DELETE')
      before = await find(at, ALL)
    }
    await using at = await live({ state: folder.path })
    const { created } = before.results[0] as Status
    expect(await find(at, ALL)).toMatchObject({ count: 1, results: [{ created, pin: { name: 'kept' } }] })
    expect(Date.parse((await add(at, { cid: cid('later') })).created)).toBeGreaterThan(Date.parse(created))
  })

  describe('refuses', () => {
    let at: Live
    beforeAll(async () => {
      at = await live()
    })
    afterAll(async () => at[Symbol.asyncDispose]())

    test.each([
      ['no CID', '', 'POST', {}],
      ['what is no CID', '', 'POST', { cid: 'bafynonsense' }],
      ['a name of 256 characters', '', 'POST', { cid: cid('a'), name: 'x'.repeat(256) }],
      ['a name that is not Unicode', '', 'POST', { cid: cid('a'), name: '\ud800' }],
      ['21 origins', '', 'POST', { cid: cid('a'), origins: Array.from({ length: 21 }, (_, i) => `/ip4/127.0.0.${i}`) }],
      ['notes that are no text', '', 'POST', { cid: cid('a'), meta: { a: 1 } }],
      ['notes of many bytes', '', 'POST', { cid: cid('a'), meta: { a: 'x'.repeat(17_000) } }],
      ['a limit of 0', '?limit=0', 'GET', undefined],
      ['a limit of 1001', '?limit=1001', 'GET', undefined],
      ['11 CIDs', `?cid=${Array.from({ length: 11 }, (_, i) => cid(`${i}`))}`, 'GET', undefined],
      ['an unknown status', '?status=lost', 'GET', undefined],
      ['another match', '?match=regex&name=a', 'GET', undefined],
      ['a day without a time', '?before=2026-01-01', 'GET', undefined],
      ['notes that are no JSON', '?meta={', 'GET', undefined],
    ])('%s, in the shape of this API', async (_, suffix, method, body) => {
      expect(await ask(at, suffix, method, body)).toEqual([
        400,
        { error: { reason: 'BAD_REQUEST', details: expect.any(String) } },
      ])
      expect((await find(at, ALL)).count).toBe(0)
    })
  })
})
