import { mkdir, readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { ulid } from 'ulid'
import { NO_DATA } from '#client/data/dataset.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { randomBytes, sha256 } from '#crypto'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import { assert, BrokenInvariant } from '#protocol/assert.ts'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Cid, Millis, NodeId, RunId } from '#protocol/ids.ts'
import { accessKey, ticketKey } from '#protocol/seeds.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { lockFolder, shareFolder } from '#storage/folder-lock.ts'
import type { ProviderProfile } from '#storage/pinning/providers.ts'
import { openPinningService } from '#storage/pinning/service.ts'
import { openKeyFile, openSecretFile } from '#storage/secret-file.ts'
import { openDifferences } from '#threads/differences.ts'
import { openMaskRemoval } from '#threads/removal.ts'
import { openVerifying } from '#threads/verification.ts'
import { multiaddrOf } from './address.ts'
import { membersOf } from './announcer.ts'
import type { PageFiles } from './api/pages.ts'
import { openApi } from './api/server.ts'
import { ApiKeys } from './api-keys.ts'
import { Audit } from './audit.ts'
import { BOUNDS, type Bounds } from './bounds.ts'
import { Capabilities } from './capabilities.ts'
import { Claims } from './claims.ts'
import { Counters } from './counters.ts'
import { Curves } from './curves.ts'
import { Datasets } from './datasets.ts'
import { Drains } from './drains.ts'
import { dutiesOf } from './duties.ts'
import { handlersOver } from './effects/handlers.ts'
import { type Admits, Eligibility } from './eligibility.ts'
import { Federations } from './federations.ts'
import { Gateway } from './gateway.ts'
import { Inquiries } from './inquiries.ts'
import { keep } from './keeper.ts'
import { type KeepingConfig, openKeeping } from './keeping.ts'
import { Labels } from './labels.ts'
import { Load } from './load.ts'
import { Needs } from './needs.ts'
import { Orders } from './orders.ts'
import { Paces } from './paces.ts'
import { patrol } from './patrol.ts'
import { within } from './pause.ts'
import { openPeer, type PeerConfig } from './peer.ts'
import { pinnedAmong } from './pinner.ts'
import { Pins } from './pins.ts'
import { Publications } from './publications.ts'
import { Readiness } from './readiness.ts'
import { RETENTION, type Retention } from './retention.ts'
import { timedLog } from './round-measures.ts'
import { Runner } from './runner.ts'
import { Sessions } from './sessions.ts'
import { SignIns } from './sign-ins.ts'
import { SignOuts } from './sign-outs.ts'
import { listening as hearing, type Recompute, SPOT_CHECKS, type SpotCheckRule, SpotChecks } from './spot-checks.ts'
import { type KuboConfig, openStores } from './stores.ts'
import { Tally } from './tally.ts'
import { Tasks } from './tasks.ts'
import { openTelling } from './telling.ts'
import { Traces } from './traces.ts'
import { openTracing } from './tracing.ts'
import { SocketTransport } from './transports/socketio.ts'
import { Verifications } from './verifications.ts'
import { watching } from './watching.ts'
import { WorkTimes } from './work-times.ts'

/** Its `state` is the folder of all that is kept: of one process at a time, unless they share a Redis. */
export type CoordinatorConfig = KeepingConfig & {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Who may link, beside the members of federations. */
  readonly admits: Admits
  /** A node may be away for this long before its seat is given up. */
  readonly graceMillis: Millis
  /** Disk that all blobs together may take. */
  readonly quotaBytes: number
  /** Where there is one, the public blocks are kept by a Kubo daemon. */
  readonly kubo?: KuboConfig | undefined
  /** Where open runs are published, and whether others are. */
  readonly pinTo?: {
    readonly providers: readonly ProviderProfile[]
    /** As many as must have a thing before it counts as published. */
    readonly quorum: number
    readonly publishHospitals: boolean
  }
  /** Whose claims of speed are tested now and then. */
  readonly spotChecks?: Partial<SpotCheckRule> | 'none'
  /** {@link RETENTION} where it says nothing. */
  readonly retention?: Retention
  /** `host:port` of hosts inside that webhooks may go to; elsewhere they go to public hosts, over HTTPS. */
  readonly webhookHosts?: ReadonlySet<string>
  /** Origins elsewhere whose pages may read what the API answers, with a key. */
  readonly origins?: ReadonlySet<string>
  readonly logLevel: string
  readonly version: string
  /** The page that lends a browser: served at /lend where any node may link, since it makes a key that nobody has listed. */
  readonly lend?: (() => Promise<PageFiles>) | undefined
  /** What is served at `/` to people. */
  readonly dashboard?: (() => Promise<PageFiles>) | undefined
  /** A libp2p peer beside it, which serves the public blocks. */
  readonly libp2p?: PeerConfig | undefined
  /** What differs from the usual bounds. */
  readonly bounds?: Partial<Bounds>
}

export type RunningCoordinator = AsyncDisposable & {
  readonly url: string
  readonly id: NodeId
  readonly apiKeyFile: string
  /** Where its libp2p peer listens. */
  readonly libp2p: readonly string[]
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])
const LINKS_MAX = 20_000
const HELLO_MILLIS = 10_000
/** A client counts on 16 KiB/s for its slowest link: half of that is asked of it, and four times that while others wait. */
const TRANSFERS = {
  ...{ idleMillis: 30_000, leastBytesPerSecond: 8192, pressedBytesPerSecond: 65_536 },
  ...{ uploads: { total: 256, each: 192 }, downloads: { total: 512, each: 384 } },
  /** Public blocks that come from memory: a cohort that fetches a model reads and hashes each of its blocks once. */
  cacheBytes: 64 * 1_048_576,
}
/** Wherever somebody may log a request, or what came of one. */
const REDACTED = [
  ...['authorization', 'cookie', 'x-csrf-token'].map((header) => `req.headers["${header}"]`),
  ...['key', 'secret', 'code', 'token', 'authorization'].flatMap((name) => [name, `*.${name}`]),
]
/** While it drains: for the jobs that run, and then for what is on its way to the log. */
const LAST_JOBS_MILLIS: Millis = 15_000
const LAST_TURNS_MILLIS: Millis = 5000
const LAST_SPANS_MILLIS: Millis = 2000

/** The coordinator's root: opens every door, recovers every run, then serves. Closing it leaves nothing half done. */
export async function startCoordinator(config: CoordinatorConfig): Promise<RunningCoordinator> {
  const { state, host, port, retention = RETENTION } = config
  if (!config.tls && !LOOPBACK.has(host))
    throw new Error(`refusing to listen on ${host} without TLS: give --tls-cert and --tls-key, or listen on 127.0.0.1`)
  await using doors = new AsyncDisposableStack()
  await mkdir(state, { recursive: true, mode: 0o700 })
  doors.use(config.redis ? await shareFolder(state) : lockFolder(state))
  const secret = await openKeyFile(join(state, 'coordinator.key'), () => randomBytes(32))
  const apiKeyFile = join(state, 'api-key')
  const apiKey = await openSecretFile(apiKeyFile, () => utf8(`ck_${toHex(randomBytes(24))}`))
  const signer = signerOf(secret)
  const macKey = ticketKey(secret)
  const logger = pino({ level: config.logLevel, base: null, redact: REDACTED }, pino.destination(2))

  const closing = new AbortController()
  const clock = systemClock
  const counters = new Counters()
  const tally = new Tally()
  const bounds = { ...BOUNDS, ...config.bounds }
  const report = (err: unknown) => logger.warn({ err }, 'one of the public stores is behind')
  const shared = config.redis !== undefined
  const { blobs, vault, withheld } = await openStores({ ...config, shared, report }, doors)
  const peer = config.libp2p && doors.use(await openPeer(config.libp2p, { state, blobs, logger }))
  const sessions = new Sessions(blobs, signer.id)
  const { log, queue, jobs, presence, snapshots } = await openKeeping({ config, logger, doors })
  const load = doors.use(new Load(bounds, jobs))
  const settlement = openRecordSettlement(log)
  const failed = (err: unknown) =>
    err instanceof BrokenInvariant ? config.fatal(err) : logger.error({ err }, 'it is tried again')
  const workTimes = new WorkTimes(clock)
  const appended = (stream: string, millis: number) => {
    counters.time('journal_commit_seconds', millis / 1000)
    if (stream.startsWith('run_')) workTimes.appended(stream as RunId, millis)
  }
  const runner = new Runner({ log: timedLog(log, appended), queue, clock, snapshots }, failed)
  doors.defer(async () => void (await within(clock, LAST_TURNS_MILLIS, runner[Symbol.asyncDispose]())))
  const publications = new Publications(log)
  const providers = (config.pinTo?.providers ?? []).map(({ name, slow, ...service }) => ({
    ...{ name, slow, service: openPinningService({ ...service, clock }) },
  }))
  const readiness = new Readiness({ log, clock })
  const capabilities = new Capabilities({ log, clock })
  const paces = new Paces()
  doors.use(runner.subscribe((advanced) => paces.hear(advanced)))
  const tracing = await openTracing(process.env, config.version, (err) => logger.warn({ err }, 'traces are not sent'))
  // Whoever takes them may be the one that is away: nothing waits for it at the end.
  doors.defer(async () => void (await within(clock, LAST_SPANS_MILLIS, tracing[Symbol.asyncDispose]())))
  const traces = new Traces(tracing.provider.getTracer('consilium', config.version), workTimes)
  const { version } = config
  doors.use(watching({ runner, presence, counters, lines: logger, traces, now: () => clock.now(), version }))
  const federations = new Federations({ log, clock, secret: accessKey(secret) })
  const drains = new Drains({ log, clock })
  const eligibility = new Eligibility({ admits: config.admits, federations, drains, capabilities })
  const datasets = new Datasets({ log, clock })
  const pins = new Pins({ log, clock, newPinId: () => `pin_${ulid(clock.now())}` })

  const hosts = config.webhookHosts ?? new Set<string>()
  const orders = new Orders(blobs)
  const telling = doors.use(openTelling({ log, clock, orders, runner, counters, secret, hosts }))
  const inquiries = new Inquiries({
    ...{ signer, clock, chance: randomBytes },
    transport: { linked: () => transport.linked(), send: (node, frame) => transport.send(node, frame) },
  })

  const { differ } = doors.use(openDifferences())
  const { verify } = doors.use(openVerifying())
  const blocks = openGateway({
    blobs,
    withheld,
    clock,
    tickets: openTickets({ key: macKey, clock }),
    limits: TRANSFERS,
    differ,
    count: (outcome) => counters.count('blocks', outcome),
    countRead: (how) => counters.count('block_reads', how),
    report: (err) => logger.error({ err }, 'the block gateway failed'),
  })
  const api = await openApi(
    {
      runner,
      claims: new Claims(log),
      pins,
      tasks: new Tasks({ log, clock }),
      orders,
      labels: new Labels({ log, clock }),
      curves: new Curves(log),
      verifications: new Verifications({ log, clock, blobs, coordinator: signer.id, verify }),
      earned: settlement.earned,
      coordinator: signer.id,
      publishing: { publications, providers, quorum: config.pinTo?.quorum ?? 0 },
      // Where there is no peer that takes blocks, whoever asks learns where they are read.
      delegates: () => [multiaddrOf(listening(), { id: signer.id, isTls: config.tls !== undefined })],
      readiness,
      clock,
      blobs,
      counters,
      retention,
      keyHash: sha256(apiKey),
      keys: new ApiKeys({ log, clock, newKeyId: () => `key_${ulid(clock.now())}`, secret: accessKey(secret) }),
      signIns: new SignIns(accessKey(secret)),
      signOuts: new SignOuts({ log, clock }),
      audit: new Audit(log),
      presence,
      capabilities,
      paces,
      ...{ federations, eligibility, drains, datasets, inquiries, signer },
      newRunId: () => `run_${ulid(clock.now())}` as RunId,
      version: config.version,
      closing: closing.signal,
      bounds,
      isOverloaded: () => load.isOver,
      webhooks: telling,
      lend: config.admits === 'open' && config.lend ? { files: config.lend, coordinator: signer.id } : undefined,
      dashboard: config.dashboard && { files: config.dashboard },
    },
    {
      logger,
      tls: config.tls && (await readTls(config.tls)),
      gateway: blocks,
      linksMax: LINKS_MAX,
      origins: config.origins,
    },
  )
  const listening = (): AddressInfo => {
    const address = api.server.address()
    assert(typeof address === 'object' && address !== null, 'it listens on a port, and is asked nothing before')
    return address
  }
  doors.defer(() => api.close())
  // Before it is ready, so that whoever asks is told that it is not.
  await api.listen({ host, port })
  await runner.recover()
  const settledAt = clock.now() + config.graceMillis
  const transport = doors.use(
    new SocketTransport(api.server, {
      signer,
      admits: (node) => eligibility.mayLink(node),
      graceMillis: config.graceMillis,
      helloMillis: HELLO_MILLIS,
      linksMax: LINKS_MAX,
      isOverloaded: () => load.isOver,
      count: counters.count.bind(counters),
      presence,
    }),
  )
  counters.watch(() => ({ ...transport.gauges(), ...load.gauges(), ...blocks.gauges(), sums_bytes: tally.sizeBytes }))
  const rule = { ...SPOT_CHECKS, ...(config.spotChecks === 'none' ? {} : config.spotChecks) }
  const checks = new SpotChecks({
    ...{ capabilities, transport, signer, clock, chance: randomBytes, recompute, rule },
    inRounds: () => new Set(runner.runs().flatMap(({ round }) => membersOf(round))),
    isOverloaded: () => load.isOver,
  })
  const gateway = new Gateway({
    transport,
    presence,
    blobs,
    vault,
    withheld,
    sessions,
    clock,
    signer,
    ticketKey: macKey,
    runner,
    eligibility,
    counters,
    hearNode: hearing({ capabilities, checks, datasets, inquiries }),
    tally,
    fatal: config.fatal,
  })
  const pinned = (cids: Iterable<Cid>) => pinnedAmong(cids, { pins, blobs })
  const { removeMasks } = doors.use(openMaskRemoval())
  const stores = {
    ...{ blobs: workTimes.store(blobs), vault: workTimes.store(vault), withheld: workTimes.store(withheld) },
  }
  const worker = runner.work(
    workTimes.timed(
      handlersOver({
        ...{ ...stores, log, signer, clock, sessions, tally, removeMasks, settlement },
        ...{ presence, eligibility, settledAt, needs: new Needs({ log, blobs }), pinnedAmong: pinned },
        runs: () => runner.runs(),
        position: (run) => runner.position(run),
      }),
    ),
  )
  // What is not done by then is done again, here or elsewhere: whatever was appended stands.
  doors.defer(async () => void (await within(clock, LAST_JOBS_MILLIS, worker[Symbol.asyncDispose]())))
  const serving = gateway.serve(config.graceMillis, closing.signal)
  serving.catch(config.fatal)
  const patrolling = patrol({ runner, log, clock, failed }, closing.signal)
  const duties = dutiesOf({
    ...{ runner, clock, retention, pins, blobs, withheld, vault, publications, providers, failed },
    ...{ pinnedAmong: pinned, notifier: telling.notifier },
    publishHospitals: config.pinTo?.publishHospitals ?? false,
    addresses: () => peer?.addresses() ?? [],
    spotChecks: config.spotChecks === 'none' ? undefined : { checks, rule },
  })
  const keeping = keep(duties, { clock, failed }, closing.signal)
  readiness.serve()
  doors.defer(async () => {
    readiness.drain()
    transport.drain()
    closing.abort()
    await serving
    await within(clock, LAST_TURNS_MILLIS, Promise.all([patrolling, keeping]))
  })

  const url = `${config.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${listening().port}`
  const open = doors.move()
  return {
    ...{ url, id: signer.id, apiKeyFile, libp2p: peer?.addresses() ?? [] },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function readTls(files: { certFile: string; keyFile: string }): Promise<{ cert: Buffer; key: Buffer }> {
  return { cert: await readFile(files.certFile), key: await readFile(files.keyFile) }
}

/** In a thread that is there for the one time: it is seldom needed, and a backend takes a hundred megabytes. */
const recompute: Recompute = async (model, seed, repetitions, signal) => {
  await using trainer = await openTfjsTrainer({ data: NO_DATA, backend: 'wasm' })
  const curves: (readonly number[])[] = []
  for (const from of repetitions) {
    const amount = { kind: 'repetitions', from, count: 1 } as const
    curves.push((await trainer.measure({ model, seed, amount }, signal)).losses)
  }
  return curves
}
