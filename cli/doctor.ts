import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { connect } from 'node:tls'
import { z } from 'zod'
import { Transport } from '#sdk/transport.ts'
import { authorizationOf } from '#storage/blobs/kubo-authorization.ts'
import { openKuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { openSharedRedis } from '#storage/redis/connection.ts'
import { held } from './answers.ts'
import type { Arguments } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { packageOf } from './package.ts'
import { formatBytes } from './render/units.ts'
import { apiKey, coordinatorState, isOnThisMachine } from './state.ts'
import { failureOf } from './thrown.ts'
import { trustFix } from './trust.ts'

/** What one look came to. The first that fails names the exit code. */
export type Check = {
  readonly check: string
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped'
  readonly detail: string
  readonly fix: string | null
  readonly exit: number
}

const NODE_MAJOR_MIN = 24
const SKEW_MILLIS_MAX = 30_000
const ANSWER_SECONDS_MAX = 5
const DISK_BYTES_MIN = 100e6
const DISK_BYTES_LOW = 2e9
const CERTIFICATE_DAYS_LOW = 14
const DAY_MILLIS = 86_400_000

/** `consilium doctor` */
export async function execute({ args, output }: Call): Promise<number> {
  const checks: Check[] = []
  for await (const check of diagnose(args)) {
    checks.push(check)
    if (output.json) continue
    const { check: name, status, detail, fix } = check
    const colour = ({ ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const)[status]
    output.line(`${output.out.paint(colour, status.padEnd(8))} ${name.padEnd(12)} ${detail}`)
    if (fix !== null) output.line(`${' '.repeat(9)}${'fix'.padEnd(12)} ${fix}`)
  }
  const failed = checks.find(({ status }) => status === 'failed')
  if (output.json) output.object({ ok: failed === undefined, checks: checks.map(({ exit: _, ...check }) => check) })
  return failed?.exit ?? EXIT.ok
}

async function* diagnose(args: Arguments): AsyncIterable<Check> {
  yield nodeVersion(process.versions.node)
  yield proxies(args.environment)
  yield disk(coordinatorState(args))
  yield backends()
  const url = args.text('coordinator') ?? ''
  const reached = await reach(url)
  yield* reached.checks
  if (reached.answers) yield await ofKey(args, url)
  yield await transport(url)
  const [redis, kubo] = [args.text('redis'), args.text('kubo')]
  if (redis !== undefined) yield await ofRedis(redis)
  if (kubo !== undefined) yield await ofKubo(kubo.split(',')[0] ?? '', args)
}

function ok(check: string, detail: string): Check {
  return { check, status: 'ok', detail, fix: null, exit: EXIT.ok }
}

function warning(check: string, detail: string, fix: string): Check {
  return { check, status: 'warning', detail, fix, exit: EXIT.ok }
}

function failed(check: string, detail: string, fix: string, exit: number = EXIT.unexpected): Check {
  return { check, status: 'failed', detail, fix, exit }
}

export function nodeVersion(version: string): Check {
  if (Number(version.split('.')[0]) >= NODE_MAJOR_MIN) return ok('node', version)
  return failed('node', `${version} is too old`, `install Node ${NODE_MAJOR_MIN} or later`, EXIT.version)
}

/** Node's own fetch takes no notice of them unless it is told to. */
export function proxies(environment: Arguments['environment']): Check {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].filter((name) => environment[name])
  if (names.length === 0) return ok('proxy', 'none in the environment')
  if (environment['NODE_USE_ENV_PROXY'] === '1') return ok('proxy', `${names.join(', ')} is used`)
  return warning(
    'proxy',
    `${names.join(', ')} is set and is not used`,
    'NODE_USE_ENV_PROXY=1, if requests are to go there',
  )
}

function disk(state: string): Check {
  let folder = state
  while (!existsSync(folder)) folder = dirname(folder)
  const { bavail, bsize } = statfsSync(folder)
  return diskFree(bavail * bsize, state)
}

export function diskFree(freeBytes: number, state: string): Check {
  const detail = `${formatBytes(freeBytes)} free for ${state}`
  const fix = 'make room, or point --state at another disk'
  if (freeBytes < DISK_BYTES_MIN) return failed('disk', detail, fix)
  return freeBytes < DISK_BYTES_LOW ? warning('disk', detail, fix) : ok('disk', detail)
}

/** What is installed; whether it computes right takes longer to say. */
function backends(): Check {
  const packages = { cuda: '@tensorflow/tfjs-node-gpu', webgpu: 'webgpu', node: '@tensorflow/tfjs-node' } as const
  const native = Object.entries(packages).flatMap(([name, from]) => (isInstalled(from) ? [name] : []))
  const detail = [...native, 'wasm', 'cpu'].join(', ')
  return ok('backends', `${detail}; consilium node backends tries each`)
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

/** It may be of another version: nothing is looked at but what is asked about. */
function asker(url: string, apiKey: string | undefined, timeoutMs: number): Transport {
  return new Transport({ url, ...(apiKey !== undefined && { apiKey }), maxRetries: 0, timeoutMs })
}

const description = z.looseObject({ info: z.object({ version: z.string() }) })

async function reach(url: string): Promise<{ readonly answers: boolean; readonly checks: readonly Check[] }> {
  const asking = asker(url, undefined, 1000 * ANSWER_SECONDS_MAX)
  try {
    const asked = Date.now()
    const { headers } = await asking.fetch('/healthz')
    const checks = [ok('coordinator', `${url} answers`), skew(headers.get('date'), asked, Date.now())]
    const { info } = held(url, '/openapi.json', description, await asking.json('/openapi.json'))
    return { answers: true, checks: [...checks, versions(info.version, packageOf().version)] }
  } catch (cause) {
    const { message, fix, exit } = failureOf(cause)
    return { answers: false, checks: [failed('coordinator', message, fix ?? 'consilium coordinator up', exit)] }
  }
}

/** A Date header has no parts of a second; the truth lies between when it was asked and when it was heard. */
export function skew(header: string | null, asked: number, heard: number): Check {
  const theirs = Date.parse(header ?? '')
  if (Number.isNaN(theirs)) return { ...ok('clock', 'the coordinator does not tell its time'), status: 'skipped' }
  const ahead = asked > theirs + 999 ? asked - theirs - 999 : heard < theirs ? heard - theirs : 0
  if (Math.abs(ahead) < 1000) return ok('clock', "as the coordinator's")
  const detail = `${(Math.abs(ahead) / 1000).toFixed(1)} s ${ahead > 0 ? 'ahead of' : 'behind'} the coordinator's`
  const fix = 'set both clocks by NTP: timedatectl set-ntp true'
  return Math.abs(ahead) > SKEW_MILLIS_MAX ? failed('clock', detail, fix) : warning('clock', detail, fix)
}

export function versions(theirs: string, ours: string): Check {
  const detail = `the coordinator is ${theirs}, this is ${ours}`
  if (theirs === ours) return ok('version', `both are ${ours}`)
  const minor = (version: string) => version.split('.').slice(0, 2).join('.')
  const fix = 'update whichever is older'
  if (minor(theirs) === minor(ours)) return warning('version', detail, fix)
  return failed('version', detail, fix, EXIT.version)
}

const whoami = z.looseObject({ name: z.string(), scopes: z.array(z.string()), expires_at: z.string().nullable() })

async function ofKey(args: Arguments, url: string): Promise<Check> {
  try {
    const { name, scopes, expires_at } = held(
      url,
      '/v1/whoami',
      whoami,
      await asker(url, await apiKey(args, url), 0).json('/v1/whoami'),
    )
    const until = expires_at === null ? '' : `, until ${expires_at}`
    return ok('key', `${name}: ${scopes.join(' ')}${until}`)
  } catch (cause) {
    const { message, fix, exit } = failureOf(cause)
    return failed('key', message, `${fix ?? 'consilium login <url>'}; whoever runs a node needs none`, exit)
  }
}

async function transport(url: string): Promise<Check> {
  const { protocol, hostname, port } = new URL(url)
  if (protocol === 'https:') return certificate(hostname, Number(port || 443))
  if (isOnThisMachine(url)) return ok('tls', 'not needed: it is on this machine')
  return failed('tls', 'the key goes over the network as it is', 'https: coordinator up --tls-cert and --tls-key')
}

async function certificate(host: string, port: number): Promise<Check> {
  const { promise, resolve } = Promise.withResolvers<Check>()
  const socket = connect({ host, port, servername: host, timeout: 1000 * ANSWER_SECONDS_MAX })
  const fail = (reason: string) =>
    resolve(
      failed('tls', reason, trustFix(reason) ?? 'does it speak TLS there? https:// is what was given', EXIT.network),
    )
  socket.once('secureConnect', () => resolve(certificateUntil(socket.getPeerCertificate().valid_to, Date.now())))
  socket.once('error', ({ message }) => fail(message))
  socket.once('timeout', () => fail('no answer in time'))
  const found = await promise
  socket.destroy()
  return found
}

export function certificateUntil(validTo: string, now: number): Check {
  const days = Math.floor((Date.parse(validTo) - now) / DAY_MILLIS)
  const detail = `its certificate is good for ${days} days`
  return days < CERTIFICATE_DAYS_LOW ? warning('tls', detail, 'renew it') : ok('tls', detail)
}

async function ofRedis(url: string): Promise<Check> {
  try {
    await using _redis = await openSharedRedis({
      ...{ url, trustedNetwork: true, prefix: 'consilium' },
      signal: AbortSignal.timeout(1000 * ANSWER_SECONDS_MAX),
    })
    return ok('redis', 'it answers, and keeps what it acknowledges')
  } catch (cause) {
    const late = cause instanceof Error && cause.name === 'TimeoutError'
    return failed('redis', late ? 'no answer in time' : failureOf(cause).message, 'docs/operating.md', EXIT.network)
  }
}

async function ofKubo(url: string, { environment }: Arguments): Promise<Check> {
  const secret = environment['CONSILIUM_KUBO_AUTHORIZATION']
  try {
    const authorization = secret ? authorizationOf(secret) : undefined
    const { id } = await openKuboRpc({ url, authorization, attemptMillis: 1000 * ANSWER_SECONDS_MAX }).state()
    return ok('kubo', `${id} answers`)
  } catch (cause) {
    return failed('kubo', failureOf(cause).message, 'docs/ipfs.md', EXIT.network)
  }
}
