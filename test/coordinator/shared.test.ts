import { expect, test } from '@jest/globals'
import { Wire } from '#test/chaos/wire.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { redisForTests } from '#test/redis-suite.ts'
import { type Live, live, RawNode } from './live.ts'

type Json = Record<string, unknown>
const json = async (answer: Response): Promise<Json> => (await answer.json()) as Json

const redis = await redisForTests('several coordinators over one Redis are one')

/** Two processes of one deployment: one folder, one Redis. */
async function two(change: Parameters<typeof live>[0] = {}) {
  const folder = await temporaryFolder()
  const shared = { state: folder.path, redis: { url: redis?.url ?? '', trustedNetwork: false }, ...change }
  const [first, second] = await Promise.all([live(shared), live(shared)])
  return {
    first,
    second,
    async [Symbol.asyncDispose]() {
      await Promise.all([first, second].map((one) => one[Symbol.asyncDispose]()))
      await folder[Symbol.asyncDispose]()
    },
  }
}

const nodesOf = async (at: Live) => {
  const { data } = (await json(await at.api('/v1/nodes'))) as { readonly data: readonly { readonly id: string }[] }
  return data.map(({ id }) => id)
}

if (redis) {
  test('they have one key and one API key, and a node is linked to all of them', async () => {
    await using both = await two()
    const { first, second } = both
    expect(first.coordinator.id).toBe(second.coordinator.id)
    await using node = new RawNode(first.coordinator.url, first.coordinator.id, 'shared by two')
    expect(await node.link()).toBe('linked')
    expect(await nodesOf(second)).toEqual([node.signer.id])
  })

  test("a node's newer link to one replaces its older one to the other", async () => {
    await using both = await two()
    const { first, second } = both
    await using older = new RawNode(first.coordinator.url, first.coordinator.id, 'moving')
    expect(await older.link()).toBe('linked')
    await using newer = new RawNode(second.coordinator.url, second.coordinator.id, 'moving')
    expect(await newer.link()).toBe('linked')
    await older.lost()
    expect(await nodesOf(first)).toEqual([newer.signer.id])
  })

  test('one idempotency key makes one run, whichever of them is asked, and each of them knows it', async () => {
    await using both = await two()
    const { first, second } = both
    const key = { 'idempotency-key': 'asked of both at once' }
    const answers = await Promise.all([first, second, first, second].map((at) => at.launch({}, key)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201])
    const ids = new Set((await Promise.all(answers.map(json))).map(({ id }) => id))
    expect(ids.size).toBe(1)
    const other = await second.launch({ rounds: 2 }, key)
    expect([other.status, (await json(other))['code']]).toEqual([422, 'idempotency_key_reused'])
    const alone = await json(await first.launch())
    expect((await second.api(`/v1/runs/${alone['id']}`)).status).toBe(200)
  })

  test('a Redis that is away makes them not ready, and a launch is answered, not kept waiting for ever', async () => {
    await using both = await two()
    const { first } = both
    const ready = async () => (await fetch(`${first.coordinator.url}/readyz`)).status
    expect(await ready()).toBe(200)
    redis.freeze()
    const asked = [first.api('/v1/nodes'), first.api('/v1/runs/run_00000000000000000000000000')]
    const answer = await first.launch({}, { 'idempotency-key': 'while it is away' })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await json(answer)).toMatchObject({
      code: 'log_away',
      detail: expect.stringContaining('same Idempotency-Key'),
    })
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([503, 503])
    expect([await ready(), (await fetch(`${first.coordinator.url}/healthz`)).status]).toEqual([503, 200])
    redis.thaw()
    await comesTrue(async () => (await ready()) === 200)
    const again = await first.launch({}, { 'idempotency-key': 'while it is away' })
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
  })

  test('a Redis that was killed and is back finds runs and nodes as they were', async () => {
    await using both = await two()
    const { first, second } = both
    await using node = new RawNode(first.coordinator.url, first.coordinator.id, 'outlives Redis')
    expect(await node.link()).toBe('linked')
    await redis.kill()
    const launched = first.launch({}, { 'idempotency-key': 'while it is down' })
    await redis.start()
    expect((await launched).status).toBe(201)
    expect(await nodesOf(second)).toEqual([node.signer.id])
    expect(await node.hear('invite')).toMatchObject({ round: 1 })
  })

  test('connections to Redis that break as they are made are made again, and end no process', async () => {
    await using wire = await Wire.open(redis.port, 1)
    const starting = live({ redis: { url: `redis://127.0.0.1:${wire.port}`, trustedNetwork: false } })
    // The first is there, and the others are on their way.
    await comesTrue(async () => wire.seen.connections > 1)
    wire.cut()
    await comesTrue(async () => wire.seen.refused > 10)
    wire.mend()
    await using one = await starting
    await comesTrue(async () => (await fetch(`${one.coordinator.url}/readyz`)).status === 200)
    await using node = new RawNode(one.coordinator.url, one.coordinator.id, 'over a wire')
    expect(await node.link()).toBe('linked')
  })
}
