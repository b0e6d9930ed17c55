import { originFault } from '#coordinator/api/origins.ts'
import { type CoordinatorConfig, type RunningCoordinator, startCoordinator } from '#coordinator/main.ts'
import { keepVectors } from '#coordinator/retention.ts'
import { KuboNotAsPromised } from '#coordinator/stores.ts'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import type { NodeId } from '#protocol/ids.ts'
import { readProviders } from '#storage/pinning/providers.ts'
import { readAllowList } from './allow-list.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure, failureLines } from './failure.ts'
import { kuboOf } from './kubo.ts'
import { libp2pOf } from './libp2p.ts'
import type { Output } from './output.ts'
import { packageOf } from './package.ts'
import { pageFiles } from './page-files.ts'
import { coordinatorState } from './state.ts'
import { listenForStop, stopped } from './stopping.ts'
import { failureOf } from './thrown.ts'
import { tlsFilesOf } from './tls-files.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const DAY_MILLIS = 86_400_000
/** A century. */
const DAYS_MAX = 36_525

/** `consilium coordinator up`: serves until it is told to stop. */
export async function execute({ args, output }: Call): Promise<number> {
  const host = args.text('host') ?? '127.0.0.1'
  const port = args.integer('port', { min: 0, max: 65_535 })
  const config = {
    state: coordinatorState(args),
    redis: redisOf(args),
    kubo: await kuboOf(args),
    host,
    port,
    tls: tlsFilesOf(args, ''),
    admits: await admitsOf(args),
    graceMillis: args.integer('grace', { min: 0, max: DAY_MILLIS }),
    quotaBytes: args.integer('quota', { min: 1, max: Number.MAX_SAFE_INTEGER }),
    ...(await pinToOf(args)),
    webhookHosts: webhookHostsOf(args),
    origins: originsOf(args),
    retention: keepVectors(daysOf(args)),
    spotChecks: spotChecksOf(args),
    libp2p: libp2pOf(args),
    lend: args.flag('no-lend') ? undefined : pageFiles('lend'),
    dashboard: args.flag('no-dashboard') ? undefined : pageFiles('dashboard'),
    logLevel: args.oneOf('log-level', LOG_LEVELS),
    version: packageOf().version,
    fatal,
  }
  using stopping = listenForStop(args.flag('tethered'))
  const starting = startCoordinator({ ...config, signal: stopping.signal })
  await using coordinator = await starting.catch((cause: unknown) => {
    throw cannotStart(cause, host, port)
  })
  const { url, id, apiKeyFile, libp2p } = coordinator
  if (output.json)
    output.object({
      ...{ type: 'coordinator.ready', url, coordinator: id, api_key_file: apiKeyFile, pid: process.pid },
      ...(config.libp2p && { libp2p }),
    })
  else describe(output, { ...config, ...coordinator })
  await stopped(stopping)
  output.note('draining: nothing new begins, what is under way is finished or taken up again; once more to stop now')
  const asked = stopping.exit()
  // A coordinator that was told to stop and has drained has done what it was told.
  return asked === undefined || asked === EXIT.terminated ? EXIT.ok : asked
}

function spotChecksOf(args: Arguments): NonNullable<CoordinatorConfig['spotChecks']> {
  const whom = args.oneOf('spot-checks', ['open', 'all', 'none'])
  return whom === 'none' ? 'none' : { population: whom }
}

function describe(
  { line, note }: Output,
  {
    url,
    id,
    apiKeyFile,
    libp2p,
    admits,
    lend,
    dashboard,
  }: Omit<RunningCoordinator, keyof AsyncDisposable> & Pick<CoordinatorConfig, 'admits' | 'lend' | 'dashboard'>,
): void {
  line(`listening    ${url}`)
  line(`key          ${id}`)
  line(`fingerprint  ${fingerprintOf(id)}`)
  line(`API key in   ${apiKeyFile}`)
  line(`admits       ${admits === 'open' ? 'any node' : `${admits.size} nodes, and the members of federations`}`)
  if (dashboard) line(`dashboard    ${url}/`)
  if (lend && admits === 'open') line(`browsers at  ${url}/lend#${id}`)
  for (const address of libp2p) line(`blocks at    ${address}`)
  if (libp2p.some((address) => !/^\/ip(4\/127\.|6\/::1\/)/.test(address)))
    note('whoever reaches its libp2p addresses can read every public block; nothing withheld is served there')
  note(`nodes join with: consilium node up --coordinator ${url} --coordinator-key ${id} …      Ctrl-C stops`)
}

/** A broken invariant or a dead log: going on could write a wrong history, so nothing is closed, only the process. */
function fatal(cause: unknown): void {
  const { message } = failureOf(cause)
  const failure = new Failure(EXIT.unexpected, 'coordinator_cannot_go_on', message, {
    fix: 'start it again: it goes on from its log',
    cause,
  })
  const stack = cause instanceof Error && cause.stack ? [cause.stack] : []
  process.stderr.write(`${[...failureLines(failure), ...stack].join('\n')}\n`)
  process.exit(EXIT.unexpected)
}

function cannotStart(cause: unknown, host: string, port: number): Failure {
  const { message } = failureOf(cause)
  if (cause instanceof KuboNotAsPromised) {
    const fix = [...cause.unmet.map((unmet) => unmet.fix), 'and start the daemon again'].join('\n           ')
    return new Failure(EXIT.unexpected, 'kubo_not_as_promised', message, { fix, cause })
  }
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'FOLDER_IN_USE')
    return new Failure(EXIT.unexpected, 'folder_in_use', message, {
      fix: 'end that process, or give another --state; several coordinators share one folder where CONSILIUM_REDIS is set',
      cause,
    })
  const inUse = code === 'EADDRINUSE'
  const fix = inUse ? 'another process listens there: choose another --port, or 0 for a free one' : undefined
  const what = inUse ? `${host}:${port} is in use` : message
  return new Failure(EXIT.unexpected, inUse ? 'address_in_use' : 'cannot_start', what, { fix, cause })
}

function redisOf(args: Arguments): { readonly url: string; readonly trustedNetwork: boolean } | undefined {
  const url = args.text('redis')
  const trustedNetwork = args.flag('redis-trusted')
  if (url !== undefined) return { url, trustedNetwork }
  if (!trustedNetwork) return undefined
  throw usage('no_redis', '--redis-trusted says how to speak with a Redis, and none is given', 'set CONSILIUM_REDIS')
}

/** Pinning services, with their tokens; from here on neither file nor environment is read. */
async function pinToOf(args: Arguments): Promise<Pick<CoordinatorConfig, 'pinTo'>> {
  const file = args.text('pin-to')
  const publishHospitals = args.flag('publish-hospitals')
  if (file === undefined && publishHospitals)
    throw usage('no_providers', '--publish-hospitals says what is published, and nothing is', 'give --pin-to as well')
  if (file === undefined) return {}
  const providers = await readProviders(file, args.environment).catch((cause: unknown) => {
    if (cause instanceof TypeError) throw usage('bad_providers', cause.message, 'docs/pinning.md shows such a file')
    throw cause
  })
  return {
    pinTo: { providers, quorum: args.integer('pin-quorum', { min: 1, max: providers.length }), publishHospitals },
  }
}

function webhookHostsOf(args: Arguments): ReadonlySet<string> {
  const hosts = args.texts('webhook-host')
  for (const host of hosts)
    if (!/^(\[[0-9a-f:.]+\]|[a-z0-9.-]+):\d{1,5}$/.test(host))
      throw usage('bad_webhook_host', `${host} is no host with a port`, 'give it as example.org:8443, in lower case')
  return new Set(hosts)
}

function originsOf(args: Arguments): ReadonlySet<string> {
  const origins = args.texts('cors-origin')
  for (const origin of origins) {
    const fault = originFault(origin)
    const fix = 'give it as https://lab.example.org: no path, no last slash, no port that goes without saying'
    if (fault !== undefined) throw usage('bad_cors_origin', `${origin} ${fault}`, fix)
  }
  return new Set(origins)
}

function daysOf(args: Arguments): number | 'forever' {
  return args.text('keep-vectors') === 'forever' ? 'forever' : args.integer('keep-vectors', { min: 0, max: DAYS_MAX })
}

/** Who may link has no default: open to all by oversight is how strangers get into a run. */
async function admitsOf(args: Arguments): Promise<ReadonlyMap<NodeId, string | null> | 'open'> {
  const file = args.text('allow')
  if (args.flag('open') && (file !== undefined || args.flag('by-invite')))
    throw usage(
      'allow_or_open',
      '--open lets any node link, and needs neither --allow nor --by-invite',
      'give one of them',
    )
  if (args.flag('open')) return 'open'
  if (args.flag('by-invite') && file === undefined) return new Map()
  if (file === undefined)
    throw usage(
      'who_may_link',
      'say who may link: nobody is let in by default, since whoever links can join runs and be paid',
      '--allow nodes.txt (ids from consilium node id, one a line, each with its operator if you like), --by-invite for ' +
        'nodes that take an invite alone, or --open for any node',
    )
  return readAllowList(file)
}
