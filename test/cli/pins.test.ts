import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { live } from '#test/coordinator/live.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { pinningDouble } from '#test/pinning-double.ts'
import { jsonLines } from './command.ts'
import { here } from './here.ts'

/** The state of a coordinator under which a run has ended, if only for want of nodes. */
async function endedRun(state: string): Promise<string> {
  await using at = await live({ state })
  const { id } = (await (await at.launch({ timing: { selectionMillis: 60 } })).json()) as { id: string }
  await comesTrue(async () => {
    const { status } = (await (await at.api(`/v1/runs/${id}`)).json()) as { status: string }
    return status === 'failed'
  })
  return id
}

test('a run is published where its owner said, and its owner sees who has it and who does not', async () => {
  await using folder = await temporaryFolder()
  const id = await endedRun(folder.path)
  await using good = await pinningDouble()
  await using bad = await pinningDouble('unauthorised')
  const profile = ({ url, token }: { url: string; token: string }, name: string) => ({ name, url, token, slow: false })
  const providers = [
    profile(good, 'good'),
    profile(bad, 'bad'),
    { ...profile(good, 'gone'), url: 'http://127.0.0.1:9' },
  ]
  await using at = await live({ state: folder.path, pinTo: { providers, quorum: 1, publishHospitals: false } })
  const env = { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: folder.path }
  const run = (...args: string[]) => here(args, env)
  const list = async () =>
    (await at.api('/v1/publications')).json() as Promise<{ data: { cid: string; what: string }[] }>
  await comesTrue(async () => (await list()).data.length > 1)

  const { manifest } = (await (await at.api(`/v1/runs/${id}`)).json()) as { manifest: string }
  const listing = await list()
  const bundle = listing.data.find(({ what }) => what === 'bundle')?.cid as string
  const published = (what: string, cid: string) => ({
    ...{ run: id, what, cid, published: true },
    at: [{ provider: 'good', request: expect.any(String), status: 'pinned', requested_at: expect.any(String) }],
  })
  expect(listing).toEqual({
    ...{ has_more: false, next: null, quorum: 1 },
    data: expect.arrayContaining([published('record', manifest), published('bundle', bundle)]),
  })
  expect(listing.data).toHaveLength(2)
  const asked = [...good.stored.values()].map(({ pin }) => [(pin as { name?: string }).name, pin.cid])
  expect(new Map(asked as [string, string][])).toEqual(
    new Map([
      [`${id} record`, manifest],
      [`${id} bundle`, bundle],
    ]),
  )
  const [listed, shown, checked] = await Promise.all([
    run('pins', 'ls', id.slice(0, 12)),
    run('runs', 'show', id),
    run('pins', 'check'),
  ])
  expect(listed.code).toBe(0)
  expect(listed.stdout).toMatch(new RegExp(`^${id} +record +published +good pinned +${manifest}$`, 'm'))
  expect(listed.stdout).toMatch(new RegExp(`^${id} +bundle +published +good pinned +${bundle}$`, 'm'))
  expect(shown.stdout).toMatch(/^pinned +record +published +good pinned$/m)
  expect(checked.code).toBe(10)
  expect(checked.stdout).toMatch(/^good +ready$/m)
  expect(checked.stdout).toMatch(/^bad +unauthorised +401 UNAUTHORIZED/m)
  expect(checked.stdout).toMatch(/^gone +unreachable +no answer/m)
  for (const said of [listed, shown, checked]) expect(said.stdout + said.stderr).not.toContain(good.token)
}, 60_000)

test('a coordinator that publishes nowhere says so, and how to', async () => {
  await using at = await live()
  const env = { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: at.state }
  const [listed, checked] = await Promise.all([here(['pins', 'ls', '--json'], env), here(['pins', 'check'], env)])
  expect(jsonLines(listed.stdout)).toEqual([{ data: [], has_more: false, next: null, quorum: 0 }])
  expect(checked).toMatchObject({ code: 0, stderr: expect.stringContaining('--pin-to') })
})

test.each([
  ['more than there are', ['--pin-quorum', '2'], /--pin-quorum/],
  ['hospitals nowhere', ['--publish-hospitals'], /--pin-to/],
])('a coordinator that is to publish %s does not start', async (what, flags, message) => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'providers.json')
  const providers = [{ name: 'one', url: 'http://127.0.0.1:9', token: { env: 'ONE_TOKEN' } }]
  await writeFile(file, JSON.stringify({ providers }))
  const pinTo = what === 'hospitals nowhere' ? [] : ['--pin-to', file]
  const args = ['coordinator', 'up', '--open', '--port', '0', '--state', join(folder.path, 'state'), ...pinTo, ...flags]
  const { code, stderr } = await here(args, { ONE_TOKEN: 'secret-1' })
  expect(code).toBe(2)
  expect(stderr).toMatch(message)
  expect(stderr).not.toContain('secret-1')
})
