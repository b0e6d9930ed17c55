import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { ulid } from 'ulid'
import { assert } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'
import { auditing, auditRoutes } from './audit.ts'
import { bundleRoutes } from './bundles.ts'
import { type Caller, insufficientScope, mayCall } from './caller.ts'
import { cardRoutes } from './card.ts'
import { Connections } from './connections.ts'
import { controlRoutes } from './control.ts'
import { countsRoutes } from './counts.ts'
import { dashboardRoutes } from './dashboard.ts'
import { datasetRoutes } from './datasets.ts'
import type { ApiDoors } from './doors.ts'
import { dryRunRoutes } from './dry-run.ts'
import { EventStreams } from './event-stream.ts'
import { federationRoutes } from './federations.ts'
import { feedRoutes } from './feed.ts'
import { FILES, fileRoutes } from './files.ts'
import { Gate } from './gate.ts'
import { checkStage, healthRoutes } from './health.ts'
import { inviteRoutes } from './invites.ts'
import { keyRoutes } from './keys.ts'
import { labelRoutes } from './labels.ts'
import { Launcher } from './launch.ts'
import { lendRoutes } from './lend.ts'
import { nextPage } from './links.ts'
import { matrixRoutes } from './matrix.ts'
import { metricsRoutes } from './metrics.ts'
import { modelRoutes } from './models.ts'
import { nodeRoutes } from './nodes.ts'
import { describe } from './openapi.ts'
import { Origins } from './origins.ts'
import { payoutRoutes } from './payouts.ts'
import { pinRoutes } from './pins.ts'
import { answerProblem, later, Problem } from './problems.ts'
import { publicationRoutes } from './publications.ts'
import { checkQueries } from './query.ts'
import { roundRoutes } from './rounds.ts'
import { runRoutes } from './runs.ts'
import { sessionRoutes, signInRoute } from './session.ts'
import { statsRoutes } from './stats.ts'
import { taskRoutes } from './tasks.ts'
import { answerUnparsed } from './unparsed.ts'
import { verificationRoutes } from './verification.ts'
import { webhookRoutes } from './webhooks.ts'

export type ApiServerOptions = {
  readonly logger: FastifyBaseLogger
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
  /** The trustless gateway: answers what lies under `/ipfs/` as it is written, and says whether it did. */
  readonly gateway: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>
  /** Links that will be attached to this server, and take no place of its connections. */
  readonly linksMax: number
  /** Whose pages may read what the API answers; none unless told otherwise. */
  readonly origins?: ReadonlySet<string> | undefined
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
  await describe(server, doors.version)
  checkQueries(server)
  const connections = new Connections(server.server, bounds, {
    ...{ isTls: options.tls !== undefined, linksMax: options.linksMax },
    dropped: () => counters.count('requests_refused', 'dropped'),
  })
  const isTls = options.tls !== undefined
  const origins = new Origins(options.origins ?? new Set())
  const gate = new Gate(doors, origins)
  const streams = new EventStreams({ ...doors, stands: (request) => gate.stands(request) })
  counters.watch(() => ({ connections: connections.size, event_streams: streams.size }))
  server.addHook('onRequest', async (request, reply) => {
    void reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
    const isPreflight = origins.tell(request, reply)
    const refusal = connections.enter(request.raw, reply.raw)
    if (refusal) throw later(503, refusal, 'come again over a new connection', { closes: true })
    if (isPreflight) return reply.code(204).send()
  })
  server.addHook('onResponse', async (request, reply) => {
    // A stream takes as long as somebody reads it, which says nothing of how long an answer takes.
    if (streams.answers(request)) return
    const { method, routeOptions } = request
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

  healthRoutes(server, doors)
  const { lend, dashboard } = doors
  if (dashboard) await server.register(async (pages) => dashboardRoutes(pages, { ...dashboard, bounds }))
  if (lend) await server.register(async (pages) => lendRoutes(pages, { ...lend, bounds }))

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
    const launcher = new Launcher(doors)
    dryRunRoutes(routes, doors)
    runRoutes(routes, doors, { launcher, streams })
    countsRoutes(routes, doors)
    feedRoutes(routes, doors, streams)
    roundRoutes(routes, doors)
    metricsRoutes(routes, doors)
    modelRoutes(routes, doors)
    cardRoutes(routes, doors)
    matrixRoutes(routes, doors)
    payoutRoutes(routes, doors)
    verificationRoutes(routes, doors)
    taskRoutes(routes, doors)
    bundleRoutes(routes, doors)
    controlRoutes(routes, doors)
    labelRoutes(routes, doors)
    statsRoutes(routes, doors, launcher)
    publicationRoutes(routes, doors)
    webhookRoutes(routes, doors, doors.webhooks)
    await guarded.register(async (files) => fileRoutes(files.withTypeProvider<ZodTypeProvider>(), doors))
    await guarded.register(async (pinning) => pinRoutes(pinning.withTypeProvider<ZodTypeProvider>(), doors))
  })
  return server
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
