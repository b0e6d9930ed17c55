import type { IncomingMessage, ServerResponse } from 'node:http'
import swagger from '@fastify/swagger'
import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify'
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { ulid } from 'ulid'
import { z } from 'zod'
import type { Earned } from '#payments/ledger.ts'
import { assert } from '#protocol/assert.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Millis, NodeId, RunId } from '#protocol/ids.ts'
import { Places } from '#protocol/places.ts'
import type { BlobStore, Clock, Presence } from '#protocol/ports.ts'
import type { ApiKeys } from '../api-keys.ts'
import type { Audit } from '../audit.ts'
import type { Bounds } from '../bounds.ts'
import type { Capabilities } from '../capabilities.ts'
import type { Claims } from '../claims.ts'
import type { Counters } from '../counters.ts'
import type { Curves } from '../curves.ts'
import type { Datasets } from '../datasets.ts'
import type { Eligibility } from '../eligibility.ts'
import type { Federations } from '../federations.ts'
import type { Inquiries } from '../inquiries.ts'
import type { Paces } from '../paces.ts'
import type { Pins } from '../pins.ts'
import type { Publications } from '../publications.ts'
import type { Provider } from '../publisher.ts'
import type { Readiness } from '../readiness.ts'
import type { Retention } from '../retention.ts'
import type { Runner } from '../runner.ts'
import type { SignIns } from '../sign-ins.ts'
import type { Tasks } from '../tasks.ts'
import type { Verifications } from '../verifications.ts'
import { auditing, auditRoutes } from './audit.ts'
import { bundleRoutes } from './bundles.ts'
import { type Caller, insufficientScope, mayCall } from './caller.ts'
import { cardRoutes } from './card.ts'
import { Connections } from './connections.ts'
import { controlRoutes } from './control.ts'
import { dashboardRoutes } from './dashboard.ts'
import { datasetRoutes } from './datasets.ts'
import { dryRunRoutes } from './dry-run.ts'
import { federationRoutes } from './federations.ts'
import { feedRoutes } from './feed.ts'
import { FILES, fileRoutes } from './files.ts'
import { COOKIE, Gate } from './gate.ts'
import { inviteRoutes } from './invites.ts'
import { keyRoutes } from './keys.ts'
import { Launcher } from './launch.ts'
import { type LendDoors, lendRoutes } from './lend.ts'
import { nextPage } from './links.ts'
import { matrixRoutes } from './matrix.ts'
import { metricsRoutes } from './metrics.ts'
import { modelRoutes } from './models.ts'
import { nodeRoutes } from './nodes.ts'
import { Orders } from './orders.ts'
import type { PageDoors } from './pages.ts'
import { payoutRoutes } from './payouts.ts'
import { pinRoutes } from './pins.ts'
import { answerProblem, later, Problem } from './problems.ts'
import { publicationRoutes } from './publications.ts'
import { roundRoutes } from './rounds.ts'
import { runRoutes } from './runs.ts'
import { problemView } from './schemas.ts'
import { sessionRoutes, signInRoute } from './session.ts'
import { statsRoutes } from './stats.ts'
import { taskRoutes } from './tasks.ts'
import { answerUnparsed } from './unparsed.ts'
import { verificationRoutes } from './verification.ts'
import { type WebhookDoors, webhookRoutes } from './webhooks.ts'

export type ApiDoors = {
  readonly runner: Runner
  readonly claims: Claims
  readonly pins: Pins
  readonly tasks: Tasks
  readonly curves: Curves
  readonly verifications: Verifications
  /** What runs have paid, to whom. */
  readonly earned: (runs: (run: RunId) => boolean) => Promise<ReadonlyMap<NodeId, Earned>>
  /** Its own key. */
  readonly coordinator: NodeId
  /** Multiaddrs of peers of ours that take blocks from whoever has them, at least one. */
  readonly delegates: () => readonly string[]
  readonly publishing: {
    readonly publications: Publications
    readonly providers: readonly Provider[]
    readonly quorum: number
  }
  readonly readiness: Readiness
  readonly clock: Clock
  readonly blobs: BlobStore
  readonly counters: Counters
  readonly retention: Retention
  /** SHA-256 of the root key. */
  readonly keyHash: Uint8Array
  readonly keys: ApiKeys
  readonly signIns: SignIns
  readonly audit: Audit
  /** Who is linked to any process. */
  readonly presence: Presence
  readonly capabilities: Capabilities
  readonly paces: Paces
  readonly federations: Federations
  readonly eligibility: Eligibility
  readonly datasets: Datasets
  /** Asks nodes what they would make of a plan, under the coordinator's seal. */
  readonly inquiries: Inquiries
  readonly signer: Signer
  readonly newRunId: () => RunId
  readonly version: string
  /** Fires when the coordinator drains: open event streams end. */
  readonly closing: AbortSignal
  readonly bounds: Bounds
  /** More to do than can be done: nothing new is launched. */
  readonly isOverloaded: () => boolean
  readonly webhooks: WebhookDoors
  /** What lends a browser, where any node may link. */
  readonly lend?: LendDoors | undefined
  /** What people see at `/`. */
  readonly dashboard?: PageDoors | undefined
}

export type ApiServerOptions = {
  readonly logger: FastifyBaseLogger
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
  /** The trustless gateway: answers what lies under `/ipfs/` as it is written, and says whether it did. */
  readonly gateway: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>
  /** Links that will be attached to this server, and take no place of its connections. */
  readonly linksMax: number
}

/** A request body: a task with its architecture and contract is a few KiB. */
const BODY_BYTES_MAX = 256 * 1024

/** The coordinator's one HTTP server: API, blocks, health, metrics, OpenAPI. The node link is attached to it by the root. */
export async function openApi(doors: ApiDoors, options: ApiServerOptions) {
  const { bounds, counters } = doors
  const { headersMillis: headersTimeout } = bounds
  const timeouts = { headersTimeout, connectionsCheckingInterval: Math.ceil(headersTimeout / 4) }
  const server = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES_MAX,
    frameworkErrors: answerProblem,
    clientErrorHandler: answerUnparsed,
    genReqId: () => `req_${ulid()}`,
    // A large upload takes its time; it has a pace to keep instead. Other bodies have a limit of their own.
    requestTimeout: 0,
    keepAliveTimeout: 72_000,
    connectionTimeout: bounds.silenceMillis,
    http: timeouts,
    https: options.tls ? { ...timeouts, ...options.tls, handshakeTimeout: bounds.headersMillis } : null,
    // Event streams would hold a closing server for ever.
    forceCloseConnections: true,
  } as object).withTypeProvider<ZodTypeProvider>()
  server.setValidatorCompiler(validatorCompiler)
  server.setSerializerCompiler(serializerCompiler)
  server.setErrorHandler((cause, request, reply) => answerProblem(cause as Problem, request, reply))
  server.setNotFoundHandler((request, reply) =>
    answerProblem(
      new Problem(404, 'not_found', 'Not found', `there is no ${request.method} ${request.url.slice(0, 200)}`),
      request,
      reply,
    ),
  )
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'consilium coordinator',
        version: doors.version,
        description:
          'Launch federated training runs and follow them. Weights never travel in JSON: fetch blocks by CID from /ipfs.',
      },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          cookie: { type: 'apiKey', in: 'cookie', name: COOKIE },
        },
      },
      security: [{ key: [] }, { cookie: [] }],
    },
    transform: (given) => {
      const { schema, url } = jsonSchemaTransform(given)
      const { scope } = given.route.config ?? {}
      return { schema: { ...schema, ...(scope && { 'x-scope': scope }) } as typeof schema, url }
    },
    transformObject: jsonSchemaTransformObject,
  })
  const connections = new Connections(server.server, bounds, {
    ...{ isTls: options.tls !== undefined, linksMax: options.linksMax },
    dropped: () => counters.count('requests_refused', 'dropped'),
  })
  const streams = new Places(bounds.streams)
  counters.watch(() => ({ connections: connections.size, event_streams: streams.taken }))
  server.addHook('onRequest', async (request, reply) => {
    void reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
    const refusal = connections.enter(request.raw, reply.raw)
    if (refusal) throw later(503, refusal, 'come again over a new connection', { closes: true })
  })
  server.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    const labels = { route: routeOptions.url ?? 'none', method, status: String(reply.statusCode) }
    counters.time('http_request_duration_seconds', reply.elapsedTime / 1000, labels)
  })
  server.addHook('onError', async (_request, _reply, cause) => {
    if (cause instanceof Problem && cause.headers['retry-after']) counters.count('requests_refused', cause.code)
  })

  const gateway = { schema: { hide: true } }
  // The gateway reads and answers the raw exchange itself: bodies stream into the store and are never buffered here.
  await server.register(async (ipfs) => {
    ipfs.removeAllContentTypeParsers()
    ipfs.addContentTypeParser('*', (_request, _payload, done) => done(null))
    ipfs.all('/ipfs/*', gateway, (request, reply) => {
      reply.hijack()
      // The router decodes, the gateway does not: `/%69pfs/` is the one's and not the other's, and is answered all the same.
      void options.gateway(request.raw, reply.raw).then((answered) => {
        if (!answered) reply.raw.writeHead(404).end()
      })
    })
  })

  const open = { security: [] }
  server.get(
    '/healthz',
    { schema: { ...open, summary: 'The process answers', response: { 200: statusView('ok') } } },
    async () => ({ status: 'ok' as const }),
  )
  server.get(
    '/readyz',
    {
      schema: {
        ...open,
        summary: 'Recovered and serving, and the log answers',
        response: { 200: statusView('ready'), 503: problemView },
      },
    },
    async () => {
      const obstacle = await doors.readiness.obstacle()
      if (obstacle) throw notReady(obstacle)
      return { status: 'ready' as const }
    },
  )
  server.get(
    '/metrics',
    {
      schema: {
        ...{ ...open, summary: 'Counters as Prometheus text', produces: ['text/plain'] },
        response: { 200: z.string().meta({ examples: ['consilium_links 3\n'] }) },
      },
    },
    async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await doors.counters.text()),
  )
  const { lend, dashboard } = doors
  if (dashboard) await server.register(async (pages) => dashboardRoutes(pages, { ...dashboard, bounds }))
  if (lend) await server.register(async (pages) => lendRoutes(pages, { ...lend, bounds }))
  server.get('/openapi.json', { schema: { hide: true } }, async () => server.swagger())

  const isTls = options.tls !== undefined
  const gate = new Gate(doors)
  await server.register(async (doorstep) => {
    doorstep.addHook('onRequest', async (request, reply) => {
      checkStage(request, doors.readiness)
      limitBody(request, reply, bounds.bodyMillis)
    })
    signInRoute(doorstep.withTypeProvider<ZodTypeProvider>(), doors, { gate, isTls })
    inviteRoutes(doorstep.withTypeProvider<ZodTypeProvider>(), doors)
  })
  await server.register(async (guarded) => {
    const routes = guarded.withTypeProvider<ZodTypeProvider>()
    routes.addHook('onRoute', ({ url, config }) => assert(config?.scope, `${url} says what scope it asks for`))
    routes.decorateRequest('caller', undefined as unknown as Caller)
    routes.addHook('onRequest', async (request, reply) => {
      request.caller = await gate.admit(request, reply)
      if (!mayCall(request)) throw insufficientScope(request)
      checkStage(request, doors.readiness)
      // A file takes its time.
      if (request.routeOptions.url !== FILES) limitBody(request, reply, bounds.bodyMillis)
    })
    routes.addHook('preSerialization', async (request, reply, answer) => {
      const link = nextPage(request, answer)
      if (link !== undefined) void reply.header('link', link)
      return answer
    })
    auditing(routes, doors)
    keyRoutes(routes, doors)
    sessionRoutes(routes, doors, { isTls })
    auditRoutes(routes, doors)
    nodeRoutes(routes, doors)
    datasetRoutes(routes, doors)
    federationRoutes(routes, doors)
    const [orders, launcher] = [new Orders(doors.blobs), new Launcher(doors)]
    dryRunRoutes(routes, doors)
    runRoutes(routes, doors, { orders, launcher, streams })
    feedRoutes(routes, doors, streams)
    roundRoutes(routes, doors)
    metricsRoutes(routes, doors)
    modelRoutes(routes, doors)
    cardRoutes(routes, doors)
    matrixRoutes(routes, doors, orders)
    payoutRoutes(routes, doors)
    verificationRoutes(routes, doors)
    taskRoutes(routes, doors)
    bundleRoutes(routes, doors)
    controlRoutes(routes, doors, orders)
    statsRoutes(routes, doors, orders, launcher)
    publicationRoutes(routes, doors)
    webhookRoutes(routes, doors, doors.webhooks)
    await guarded.register(async (files) => fileRoutes(files.withTypeProvider<ZodTypeProvider>(), doors))
    await guarded.register(async (pinning) => pinRoutes(pinning.withTypeProvider<ZodTypeProvider>(), doors))
  })
  return server
}

function statusView<S extends string>(status: S) {
  return z.object({ status: z.literal(status) }).meta({ examples: [{ status }] })
}

/** Runs are not known before they are recovered; while it drains nothing new begins here that another process could do. */
function checkStage({ method, headers }: FastifyRequest, { stage }: Readiness): void {
  const begins = method !== 'GET' || headers.accept?.includes('text/event-stream')
  if (stage === 'recovering' || (stage === 'draining' && begins)) throw notReady(stage)
}

const OBSTACLES = {
  recovering: 'it reads its log, and is there in a moment',
  draining: 'it is about to stop: another process, or the next, takes this',
  'log-away': 'its log does not answer: what is under way goes on when it is back',
} as const

function notReady(obstacle: keyof typeof OBSTACLES): Problem {
  const code = obstacle.replace('-', '_')
  return new Problem(503, code, 'The coordinator is not ready', OBSTACLES[obstacle], {
    headers: { 'retry-after': '2' },
  })
}

/** A body that comes a byte at a time is not waited for. */
function limitBody(request: FastifyRequest, reply: FastifyReply, millis: Millis): void {
  const late = setTimeout(() => {
    if (request.raw.complete || reply.sent) return
    void reply.send(later(408, 'body_too_slow', `the body did not come within ${millis} ms`, { closes: true }))
  }, millis).unref()
  request.raw.once('end', () => clearTimeout(late))
  request.raw.once('close', () => clearTimeout(late))
}
