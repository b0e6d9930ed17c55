import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import {
  type CoordinatorProcess,
  startCoordinatorProcess,
  startNodeProcess,
  untilLinked,
} from '#cli/demo/federation.ts'
import type { ConsiliumProcess } from '#cli/demo/process.ts'
import { tableSites } from '#cli/demo/sites.ts'
import { tableRun } from '#cli/demo/task.ts'
import { sha256 } from '#crypto'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { collect, utf8 } from '#protocol/bytes.ts'
import type { RunId } from '#protocol/ids.ts'
import { Consilium } from '#sdk/client.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import type { CreateRun } from '#sdk/task.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { temporaryFolder } from '#test/folder.ts'
import { redisForTests } from '#test/redis-suite.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'
import { writeHospitals } from './hospitals.ts'

/** Longer than any takeover: in these tests nobody leaves who was not killed. */
const GRACE_MILLIS = 60_000
const NODES = 3
const AWAY_MILLIS = 3000

const redis = await redisForTests('a coordinator that is killed is taken over by the other')

/** Real nodes and coordinators on loopback, and one run whose every round waits for all nodes. */
async function deployment(coordinators: number, redisUrl?: string) {
  await using doors = new AsyncDisposableStack()
  const { path: folder } = doors.use(await temporaryFolder())
  await writeHospitals(join(folder, 'data'), NODES)
  const seed = sha256(utf8('consilium demo\0takeover'))
  const { sites, contract } = await tableSites(folder, join(folder, 'data'), 'sick', undefined, seed)
  const launch = { ...tableRun(contract, NODES, 3, seed), cohort: { min: NODES, max: NODES, quorum: NODES } }
  const ids = sites.map(({ id }) => id)
  const state = join(folder, 'coordinator')
  await mkdir(state, { recursive: true })
  const own = (process: ConsiliumProcess) => doors.use(process)
  const options = { graceMillis: GRACE_MILLIS, own, ...(redisUrl && { redis: redisUrl }) }
  // At once, so that they make their common keys at once.
  const started = await Promise.all(
    Array.from({ length: coordinators }, () => startCoordinatorProcess(state, ids, options)),
  )
  const [first] = started as [CoordinatorProcess]
  const apis = await Promise.all(
    started.map(async ({ url, apiKeyFile }) => new Consilium({ url: url, apiKey: await readFile(apiKeyFile, 'utf8') })),
  )
  const nodes = await Promise.all(
    sites.map(async (site, index) => {
      // Each begins with another one.
      const urls = started.map((_, at) => started[(at + index) % started.length]?.url).join(',')
      return { site, process: own(await startNodeProcess(site, { url: urls, key: first.key })) }
    }),
  )
  for (const api of apis) await untilLinked(api, nodes, AbortSignal.timeout(60_000))
  const open = doors.move()
  return { launch, started, apis, key: first.key, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

async function modelOfCalmRun(): Promise<unknown> {
  await using calm = await deployment(1)
  const [api] = calm.apis as [Consilium]
  const run = await api.runs.create(calm.launch as CreateRun)
  let last: ApiEvent | undefined
  for await (const event of run.events({ signal: AbortSignal.timeout(100_000) })) last = event
  return last?.['model']
}

if (redis)
  test('a coordinator that is killed is taken over by the other; a Redis that is away pauses the run and no more', async () => {
    await using both = await deployment(2, redis.url)
    const [victim] = both.started as [CoordinatorProcess]
    const survivor = both.apis[1] as Consilium
    const run = await survivor.runs.create(both.launch as CreateRun, { idempotencyKey: 'takeover' })
    const seen: ApiEvent[] = []
    let killedAt = 0
    let takenOverMillis = 0
    let closedMillis = 0
    for await (const event of run.events({ signal: AbortSignal.timeout(150_000) })) {
      const sinceKill = Date.parse(String(event['time'])) - killedAt
      if (killedAt && !takenOverMillis && sinceKill > 0) takenOverMillis = sinceKill
      seen.push(event)
      if (event['round'] === 2 && event.type === 'round.completed') closedMillis = sinceKill
      if (event['round'] === 2 && event.type === 'update.reported' && !killedAt) {
        victim.process.signal('SIGKILL')
        killedAt = Date.now()
      }
      if (event['round'] === 3 && event.type === 'session.shared') {
        redis.freeze()
        await pause(AWAY_MILLIS)
        redis.thaw()
      }
    }
    process.stdout.write(
      `taken over: from the kill ${takenOverMillis} ms to the next event, ${closedMillis} ms to the round's end\n`,
    )
    expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, index) => index))
    expect(seen.at(-1)).toMatchObject({ type: 'run.completed', ledger: { paid: '1000000', released: '0' } })
    expect(takenOverMillis).toBeLessThan(20_000)

    const car = await collect(readable(await run.bundle()), 2 ** 24)
    const verdict = await verifyBundle(fileOf(car), { coordinator: both.key })
    expect(verdict).toMatchObject({ ok: true, pinned: true, run: run.id, outcome: 'completed', paid: 1_000_000n })
    const settlement = openRecordSettlement(openRedisLog(await redis.open({ prefix: 'consilium' })))
    expect(await settlement.totals(run.id as RunId)).toEqual({ held: 1_000_000n, paid: 1_000_000n, released: 0n })
    const [, last] = both.started as [CoordinatorProcess, CoordinatorProcess]
    last.process.signal('SIGTERM')
    expect(await last.process.ended).toBe(0)
    expect(seen.at(-1)?.['model']).toBe(await modelOfCalmRun())
  }, 300_000)

async function* readable(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of stream) yield new Uint8Array(piece)
}
