import { describe, expect, test } from '@jest/globals'
import { KuboNotAsPromised } from '#coordinator/stores.ts'
import { parseCid } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { TOY_ARCHITECTURE, TOY_TASK } from '#sim/toy.ts'
import { openKuboBlobs } from '#storage/blobs/kubo.ts'
import { openKuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { consilium } from '#test/cli/command.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { kuboForTests } from '#test/kubo.ts'
import { privateConfig, setIn, startKuboDouble } from '#test/kubo-double.ts'
import { LiveSite } from '#test/live-site.ts'
import { verifyRecord } from '#verify/verify.ts'
import { type Live, live } from './live.ts'

/** Four weights a unit, and a bias: a vector of more than a block. */
const LARGE = {
  ...TOY_ARCHITECTURE,
  layers: [
    { layer: 'dense', name: 'hidden', units: BLOCK_BYTES_MAX / 16 + 1, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}
const TIMING = {
  ...{ selectionMillis: 5000, keysMillis: 10_000, reportingMillis: 20_000, consistencyMillis: 5000 },
  ...{ unmaskingMillis: 5000, aggregationMillis: 20_000, settlementMillis: 5000 },
}

/** A run over real links. @returns its record's CID */
async function played(server: Live, change: object, members = 2): Promise<Cid> {
  const { url, id: key } = server.coordinator
  const taking = LiveSite.toys(members).map((site) => site.takePart({ url, key }, 2))
  const launched = await server.launch({
    timing: TIMING,
    cohort: { min: members, max: members, quorum: members },
    ...change,
  })
  const { id } = (await launched.json()) as { id: string }
  for (const told of await Promise.all(taking)) expect(told.at(-1)).toMatchObject({ kind: 'ended', outcome: 'closed' })
  let manifest: unknown
  await comesTrue(async () => {
    ;({ manifest } = (await (await server.api(`/v1/runs/${id}`)).json()) as { manifest?: unknown })
    return typeof manifest === 'string'
  })
  const cid = parseCid(String(manifest))
  if (!cid.ok) throw new Error(`no record: ${manifest}`)
  return cid.value
}

describe('a coordinator whose blocks a Kubo daemon keeps', () => {
  test('keeps them in its folder and in two daemons, and goes on while one of these is away', async () => {
    await using first = await startKuboDouble()
    await using folder = await temporaryFolder()
    const scope = new AsyncDisposableStack()
    const second = scope.use(await startKuboDouble())
    const spread = { others: [second.url], quorum: 2 }
    const kubo = { url: first.url, network: 'private' as const, spread }
    await using server = await live({ state: folder.path, kubo })
    const before = await played(server, {})
    const rpc = openKuboRpc({ url: first.url })
    await comesTrue(async () => first.blocks.size === second.blocks.size)
    await scope.disposeAsync()
    const after = await played(server, {})
    for (const root of [before, after]) {
      const blobs = openKuboBlobs({ rpc, space: 'blobs', quotaBytes: 2 ** 28 })
      const verdict = await verifyRecord(root, (cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX))
      expect(verdict).toMatchObject({ ok: true, root })
    }
    const twice = live({ kubo: { ...kubo, spread: { ...spread, others: [first.url] } } })
    await expect(twice).rejects.toThrow('names one twice')
  }, 60_000)

  test('sends it no block of what is withheld: that goes to a daemon apart, hidden in its vault; and leaves a record there that verifies from the daemon alone', async () => {
    await using open = await startKuboDouble()
    await using apart = await startKuboDouble()
    let root: Cid
    {
      await using server = await live({ kubo: { url: open.url, network: 'private', apart: { url: apart.url } } })
      const large = { task: { ...TOY_TASK, architecture: LARGE }, masking: 'secagg/1' }
      root = await played(server, { ...large, secure: { suite: 1, corrupt: 1, publish: 'commit-only' } }, 3)
    }
    // Three vectors of more than a block, and the boxes and shares of three members.
    expect(apart.blocks.size).toBeGreaterThan(9)
    expect(open.blocks.size).toBeGreaterThan(9)
    expect([...apart.blocks.keys()].filter((key) => open.blocks.has(key))).toEqual([])
    open.collect()
    const blobs = openKuboBlobs({ rpc: openKuboRpc({ url: open.url }), space: 'blobs', quotaBytes: 1 })
    const verdict = await verifyRecord(root, (cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX))
    expect(verdict).toMatchObject({ ok: true, root })
  }, 60_000)

  test('does not start over one that others can reach, that is not apart, or that is away', async () => {
    await using double = await startKuboDouble()
    const config = privateConfig()
    setIn(config, 'Bootstrap', ['/dnsaddr/bootstrap.example/p2p/12D3KooWDW4DTWtS8nBroxfibGLUXQQnKMyJg5wh7PDR8wvakR4q'])
    double.config = config
    const kubo = { url: double.url, network: 'private' } as const
    await expect(live({ kubo })).rejects.toThrow(KuboNotAsPromised)
    await expect(live({ kubo })).rejects.toThrow('it dials bootstrap nodes')
    await using server = await live({ kubo: { ...kubo, network: 'public' } })
    expect(server.coordinator.url).toContain('http')
    await expect(live({ kubo: { ...kubo, network: 'public', apart: { url: double.url } } })).rejects.toThrow(
      'it dials bootstrap nodes',
    )
    double.config = privateConfig()
    await expect(live({ kubo: { ...kubo, apart: { url: double.url } } })).rejects.toThrow('a daemon of its own')
    await double[Symbol.asyncDispose]()
    await expect(live({ kubo })).rejects.toThrow('the Kubo daemon')
  })

  test('says what to do where the daemon is not as it was promised, and takes its key from a file alone', async () => {
    await using double = await startKuboDouble()
    await using folder = await temporaryFolder()
    double.authorization = 'Bearer sesame'
    const config = privateConfig()
    setIn(config, 'Routing.Type', 'auto')
    double.config = config
    const args = ['coordinator', 'up', '--open', '--port', '0', '--state', folder.path, '--kubo', double.url]
    const { code, stderr } = await consilium(args, { env: { CONSILIUM_KUBO_AUTHORIZATION: 'bearer:sesame' } })
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('kubo_not_as_promised') })
    expect(stderr).toContain(`ipfs config --json Routing.Type '"none"'`)
    expect(stderr).not.toContain('sesame')
    const wrong = await consilium(args, { env: { CONSILIUM_KUBO_AUTHORIZATION: 'sesame' } })
    expect({ code: wrong.code, stderr: wrong.stderr }).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('CONSILIUM_KUBO_AUTHORIZATION') },
    })
    expect(wrong.stderr).not.toContain('sesame')
  })
})

const real = await kuboForTests('a run over a real Kubo daemon, verified from its gateway')
if (real)
  test('a run over a real daemon verifies from its gateway', async () => {
    let root: Cid
    {
      await using server = await live({ kubo: { url: real.rpcUrl, network: 'private' } })
      const masked = { masking: 'secagg/1', secure: { suite: 1, corrupt: 1, publish: 'full' } }
      root = await played(server, masked, 3)
    }
    real.ipfs(['repo', 'gc'])
    const { code, stdout, stderr } = await consilium(['verify', real.gatewayUrl, '--run', root, '--json'])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(JSON.parse(stdout)).toMatchObject({ ok: true })
  }, 60_000)
