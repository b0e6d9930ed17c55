import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { ulid } from 'ulid'
import { randomBytes, sha256 } from '#crypto'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { BrokenInvariant } from '#protocol/assert.ts'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Millis, NodeId, RunId } from '#protocol/ids.ts'
import { ticketKey } from '#protocol/seeds.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { lockFolder } from '#storage/folder-lock.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openKeyFile, openSecretFile } from '#storage/secret-file.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { openMaskRemoval } from '#threads/removal.ts'
import { openApi } from './api/server.ts'
import { Counters } from './counters.ts'
import { aggregateEffect } from './effects/aggregate.ts'
import { finishEffect } from './effects/finish.ts'
import { holdEffect, releaseEffect } from './effects/fund.ts'
import { openEffect } from './effects/open.ts'
import { sessionEffects } from './effects/session.ts'
import { settleEffect } from './effects/settle.ts'
import { Gateway } from './gateway.ts'
import { type Job, Runner } from './runner.ts'
import { Sessions } from './sessions.ts'
import { SocketTransport } from './transports/socketio.ts'

export type CoordinatorConfig = {
  /** Folder of everything that is kept. One process at a time. */
  readonly state: string
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Who may link: these nodes, or everybody. */
  readonly admits: ReadonlySet<NodeId> | 'open'
  /** A node may be away for this long before its seat is given up. */
  readonly graceMillis: Millis
  /** Disk that all blobs together may take. */
  readonly quotaBytes: number
  readonly logLevel: string
  readonly version: string
  /** Called when the coordinator cannot go on (a broken invariant, a dead log). */
  readonly fatal: (cause: unknown) => void
}

export type RunningCoordinator = AsyncDisposable & {
  readonly url: string
  readonly id: NodeId
  readonly apiKeyFile: string
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])
const LINKS_MAX = 20_000
const HELLO_MILLIS = 10_000

/** The coordinator's root: opens every door, recovers every run, then serves. Closing it leaves nothing half done. */
export async function startCoordinator(config: CoordinatorConfig): Promise<RunningCoordinator> {
  const { state, host, port } = config
  if (!config.tls && !LOOPBACK.has(host))
    throw new Error(`refusing to listen on ${host} without TLS: give --tls-cert and --tls-key, or listen on 127.0.0.1`)
  await using doors = new AsyncDisposableStack()
  await mkdir(state, { recursive: true, mode: 0o700 })
  doors.use(lockFolder(state))
  const secret = await openKeyFile(join(state, 'coordinator.key'), () => randomBytes(32))
  const apiKeyFile = join(state, 'api-key')
  const apiKey = await openSecretFile(apiKeyFile, () => utf8(`ck_${toHex(randomBytes(24))}`))
  const signer = signerOf(secret)
  const macKey = ticketKey(secret)
  const logger = pino(
    { level: config.logLevel, base: null, redact: ['req.headers.authorization'] },
    pino.destination(2),
  )

  const closing = new AbortController()
  const clock = systemClock
  const settledAt = clock.now() + config.graceMillis
  const counters = new Counters()
  const store = async (name: string) =>
    doors.use(await openFileBlobs({ folder: join(state, name), quotaBytes: config.quotaBytes }))
  const [blobs, vault, withheld] = [await store('blobs'), await store('vault'), await store('withheld')]
  const sessions = new Sessions(blobs, signer.id)
  const log = doors.use(openSqliteLog({ file: join(state, 'log.sqlite') }))
  const queue = openMemoryQueue<Job>({
    clock,
    onFailure: ({ id, failures, cause }) =>
      logger.warn({ job: id, failures, err: cause }, 'an effect failed and is tried again'),
    onBroken: config.fatal,
  })
  const settlement = openRecordSettlement(log)
  const runner = doors.use(
    new Runner({ log, queue, clock, snapshots: openMemorySnapshots() }, (err) =>
      err instanceof BrokenInvariant ? config.fatal(err) : logger.error({ err }, 'a deadline could not be kept'),
    ),
  )
  await runner.recover()

  const blocks = openGateway({
    blobs,
    withheld,
    clock,
    tickets: openTickets({ key: macKey, clock }),
    limits: { idleMillis: 30_000, uploadsMax: 64 },
    count: (outcome) => counters.count('blocks', outcome),
    report: (err) => logger.error({ err }, 'the block gateway failed'),
  })
  let transport: SocketTransport | undefined
  const api = await openApi(
    {
      runner,
      blobs,
      counters,
      keyHash: sha256(apiKey),
      linked: () => transport?.linked() ?? [],
      populationSize: config.admits === 'open' ? undefined : config.admits.size,
      newRunId: () => `run_${ulid(clock.now())}` as RunId,
      version: config.version,
      closing: closing.signal,
    },
    {
      logger,
      tls: config.tls && (await readTls(config.tls)),
      gateway: blocks,
    },
  )
  transport = doors.use(
    new SocketTransport(api.server, {
      signer,
      admits: (node) => config.admits === 'open' || config.admits.has(node),
      graceMillis: config.graceMillis,
      helloMillis: HELLO_MILLIS,
      linksMax: LINKS_MAX,
      count: (name, reason) => counters.count(name, reason),
    }),
  )
  const link = transport
  const gateway = new Gateway({
    transport,
    blobs,
    vault,
    withheld,
    sessions,
    clock,
    signer,
    ticketKey: macKey,
    runner,
    counters,
    fatal: config.fatal,
  })
  const { removeMasks } = doors.use(openMaskRemoval())
  const session = { blobs, vault, withheld, signer, sessions, removeMasks }
  doors.use(
    runner.work({
      hold: holdEffect({ settlement }),
      release: releaseEffect({ settlement }),
      open: openEffect({
        blobs,
        signer,
        clock,
        settledAt,
        linked: () => link.linked().length,
        runs: () => runner.runs(),
      }),
      ...sessionEffects(session),
      aggregate: aggregateEffect(session),
      settle: settleEffect({ blobs, signer, settlement, receiptMade: (made) => gateway.tellReceipt(made) }),
      finish: finishEffect({ blobs, signer, settlement }),
    }),
  )
  const serving = gateway.serve(config.graceMillis, closing.signal)
  serving.catch(config.fatal)
  await api.listen({ host, port })
  doors.defer(async () => {
    closing.abort()
    await api.close()
    await serving
  })

  const address = api.server.address()
  const bound = typeof address === 'object' && address ? address.port : port
  const url = `${config.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${bound}`
  const open = doors.move()
  return { url, id: signer.id, apiKeyFile, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

async function readTls(files: { certFile: string; keyFile: string }): Promise<{ cert: Buffer; key: Buffer }> {
  return { cert: await readFile(files.certFile), key: await readFile(files.keyFile) }
}
