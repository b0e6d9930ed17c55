import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { utf8 } from '#protocol/bytes.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { live, signer } from './live.ts'

const files = new Map([
  ['index.html', gzipSync('<!doctype html><title>lend</title>')],
  ['page-ABC.js', gzipSync('export {}')],
  ['tfjs-ABC.wasm', gzipSync(utf8('wasm'))],
])
const lend = async () => files

test('a coordinator that any node may link to serves the page, apart from every other page, and says its key', async () => {
  await using at = await live({ lend })
  const { url, id } = at.coordinator
  const page = await fetch(`${url}/lend`)
  expect(await page.text()).toBe('<!doctype html><title>lend</title>')
  const header = (name: string) => page.headers.get(name)
  expect(header('content-type')).toBe('text/html; charset=utf-8')
  expect(header('cache-control')).toBe('no-store')
  // What an injected script could ask for: none of it is allowed, nor anything from elsewhere.
  expect(header('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/)
  expect(header('content-security-policy')).not.toMatch(/unsafe-inline|'unsafe-eval'|https?:|\*/)
  expect([header('cross-origin-opener-policy'), header('cross-origin-embedder-policy')]).toEqual([
    'same-origin',
    'require-corp',
  ])
  expect(await (await fetch(`${url}/lend/coordinator.json`)).json()).toEqual({ coordinator: id })
  const script = await fetch(`${url}/lend/page-ABC.js`)
  expect(script.headers.get('cache-control')).toContain('immutable')
  expect(script.headers.get('cross-origin-embedder-policy')).toBe('require-corp')
  expect((await fetch(`${url}/lend/tfjs-ABC.wasm`)).headers.get('content-type')).toBe('application/wasm')
  const plain = await fetch(`${url}/lend`, { headers: { 'accept-encoding': 'identity' } })
  expect(plain.headers.get('content-encoding')).toBeNull()
  expect(await plain.text()).toBe(gunzipSync(files.get('index.html') as Buffer).toString())
  for (const name of ['index.html', 'other.js', '..%2f..%2fpackage.json', '__proto__'])
    expect([name, (await fetch(`${url}/lend/${name}`)).status]).toEqual([name, 404])
})

test('a coordinator with a list of its nodes has no such page, and one that is asked too often says when to come again', async () => {
  await using listed = await live({ lend, admits: new Map([[signer('a').id, null]]) })
  for (const path of ['/lend', '/lend/coordinator.json', '/lend/page-ABC.js'])
    expect((await fetch(`${listed.coordinator.url}${path}`)).status).toBe(404)
  await using busy = await live({ lend, bounds: { requests: { perSecond: 0.001, burst: 2 } } })
  const asked = [1, 2, 3].map(async () => (await fetch(`${busy.coordinator.url}/lend`)).status)
  expect((await Promise.all(asked)).sort()).toEqual([200, 200, 429])
})

test('a file for tasks is kept under its CID for anybody, and a task that names one which is not here is refused', async () => {
  await using at = await live()
  const put = (body: string) =>
    at.api('/v1/files', { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } })
  const kept = await put('x,y,z\n1,2,0\n')
  expect(kept.status).toBe(201)
  const { cid, size_bytes } = (await kept.json()) as { readonly cid: string; readonly size_bytes: number }
  expect(size_bytes).toBe(12)
  expect(await (await fetch(`${at.coordinator.url}/ipfs/${cid}`)).text()).toBe('x,y,z\n1,2,0\n')
  expect((await fetch(`${at.coordinator.url}/v1/files`, { method: 'POST', body: 'x' })).status).toBe(401)
  const named = (table: string, kind = 'csv') => ({
    task: { ...TOY_TASK, publicData: kind === 'csv' ? { kind, table } : { kind, images: table, labels: table } },
  })
  expect((await at.launch(named(cid))).status).toBe(201)
  const pointers = async (change: object) => {
    const answer = await at.launch(change)
    const { errors } = (await answer.json()) as { readonly errors: readonly { readonly pointer: string }[] }
    return [answer.status, ...errors.map(({ pointer }) => pointer)]
  }
  const absent = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  expect(await pointers(named(absent))).toEqual([422, '/task/publicData/table'])
  expect(await pointers(named(cid, 'idx'))).toEqual([422, '/task/publicData/kind'])
})
