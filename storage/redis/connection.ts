import type { Redis, RedisOptions } from 'ioredis'
import type { Millis } from '#protocol/ids.ts'
import { openClient } from './client.ts'
import { checkRequirements } from './requirements.ts'

/**
 * One Redis for all that several coordinators share. While it is away, commands wait and are sent again once it is back;
 * nothing is given up. A command whose answer was lost is therefore executed twice: whatever must not be says so itself.
 */
export type SharedRedis = AsyncDisposable & {
  readonly commands: Redis
  /** In braces, so that in a cluster all keys are in one slot, where scripts may touch several of them. */
  readonly prefix: string
  key(...parts: readonly string[]): string
  /** Another connection to the same Redis, for who listens or blocks. It is closed with this one. */
  connection(purpose: string): Redis
  /** False while Redis cannot be reached or does not answer. */
  connected(): boolean
  /** Resolves when Redis is away: at once if it is. Whoever says farewell waits no longer than this. */
  away(): Promise<void>
}

export type RedisState = 'up' | 'away'

export type SharedRedisOptions = {
  /** `redis://` or `rediss://`, with user, password and database where there are any. Never shown. */
  readonly url: string
  /** Distinguishes deployments that share one Redis. */
  readonly prefix?: string
  /** For a `redis://` that is not on this machine: the network between can be neither read nor written by others. */
  readonly trustedNetwork?: boolean
  /** Stops waiting for a Redis that is away at the start. */
  readonly signal?: AbortSignal
  readonly onChange?: (state: RedisState, reason: string) => void
  /** How long Redis may leave a question unanswered and still count as connected. */
  readonly silentMillis?: Millis
  /** Between two attempts to reach it. Well below a renewal of presence: who comes back this late is not thought dead. */
  readonly longestPauseMillis?: Millis
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/** Opens it, waits until it is there, and refuses one that could lose what it acknowledged. */
export async function openSharedRedis({
  url,
  prefix = 'consilium',
  trustedNetwork = false,
  signal,
  onChange = () => undefined,
  silentMillis = 5000,
  longestPauseMillis = 500,
}: SharedRedisOptions): Promise<SharedRedis> {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(prefix))
    throw new Error('a prefix of keys is 1 to 64 letters, digits, underscores and hyphens')
  const options = {
    ...addressOf(url, trustedNetwork),
    connectionName: prefix,
    maxRetriesPerRequest: null,
    retryStrategy: (attempt: number) => Math.min(longestPauseMillis, 20 * 2 ** Math.min(attempt - 1, 10)),
    // A failover leaves a read-only server behind: look for the new one, and say again what this one refused.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
    // A connection that died without a word (a cut cable) is given up; longer than any command of ours blocks.
    socketTimeout: 3 * silentMillis,
    disableClientInfo: true,
    // What is left of a connection that is being closed keeps no process from ending.
    disconnectTimeout: 250,
    lazyConnect: true,
  } as const
  const commands = openClient(options)
  const others: Redis[] = []
  let state: RedisState = 'away'
  let gone = Promise.withResolvers<void>()
  gone.resolve()
  const change = (next: RedisState, reason: string) => {
    if (state === next) return
    state = next
    if (next === 'up') gone = Promise.withResolvers()
    else gone.resolve()
    onChange(next, reason)
  }
  let closed = false
  let fault = 'the connection was closed'
  commands.on('error', (error) => {
    fault = error.message
  })
  commands.on('close', () => closed || change('away', fault))
  commands.on('ready', () => closed || change('up', 'connected'))

  const heartbeat = setInterval(() => {
    ask(commands, silentMillis, (answers) =>
      answers ? change('up', 'it answers') : change('away', `no answer for ${silentMillis} ms`),
    )
    for (const other of others) ask(other, silentMillis, () => undefined)
  }, silentMillis / 5)

  const close = () => {
    if (closed) return
    closed = true
    clearInterval(heartbeat)
    for (const connection of [commands, ...others]) connection.disconnect()
    state = 'away'
    gone.resolve()
  }
  signal?.addEventListener('abort', close, { once: true })
  try {
    await firstReady(commands, signal, (reason) => onChange('away', reason))
    await checkRequirements(commands)
    signal?.throwIfAborted()
  } catch (cause) {
    close()
    throw signal?.aborted ? signal.reason : cause
  } finally {
    signal?.removeEventListener('abort', close)
  }

  return {
    commands,
    prefix: `{${prefix}}`,
    key: (...parts) => [`{${prefix}}`, ...parts].join(':'),
    connection(purpose) {
      const other = commands.duplicate({ connectionName: `${prefix}-${purpose}` })
      // The first connection tells of the same troubles.
      other.on('error', () => undefined)
      other.connect().catch(() => undefined)
      others.push(other)
      return other
    },
    connected: () => state === 'up',
    away: () => gone.promise,
    async [Symbol.asyncDispose]() {
      // What was asked before is answered before this.
      if (state === 'up') await Promise.race([commands.ping().catch(() => undefined), gone.promise])
      close()
    },
  }
}

type Address = Pick<RedisOptions, 'host' | 'port' | 'db' | 'username' | 'password' | 'tls'>

/** What ioredis is told of the URL. No error here repeats it: it may hold a password. */
function addressOf(url: string, trustedNetwork: boolean): Address {
  const parsed = URL.parse(url)
  if (!parsed || !['redis:', 'rediss:'].includes(parsed.protocol) || parsed.hostname === '')
    throw new Error("Redis's address is not of the form redis://host:port or rediss://user:password@host:port/database")
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  const database = /^\/?(\d{0,4})$/.exec(parsed.pathname)?.[1]
  if (database === undefined || parsed.search !== '' || parsed.hash !== '')
    throw new Error("in Redis's address only the number of a database may follow the port")
  if (parsed.protocol === 'redis:' && !LOOPBACK.has(host) && !trustedNetwork)
    throw new Error(
      `refusing to speak with Redis on ${host} without TLS: use rediss://, or say that the network between is trusted`,
    )
  return {
    host,
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    db: Number(database),
    ...(parsed.username === '' ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
    ...(parsed.protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

/** A wrong password or a server that is no Redis is said at once; one that is away is waited for. */
async function firstReady(redis: Redis, signal: AbortSignal | undefined, waits: (reason: string) => void) {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let told = false
  const onError = (error: Error & { readonly syscall?: string; readonly code?: string }) => {
    if (error.name === 'ReplyError') return reject(new Error(`Redis does not let us in: ${error.message}`))
    if (!told) waits(error.message)
    told = true
  }
  const onAbort = () => reject(signal?.reason)
  redis.on('ready', resolve)
  redis.on('error', onError)
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  redis.connect().catch(() => undefined)
  try {
    await promise
  } finally {
    redis.off('ready', resolve)
    redis.off('error', onError)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Connections that owe the answer to a PING, and since when. */
const asked = new WeakMap<Redis, Millis>()

function ask(redis: Redis, silentMillis: Millis, judge: (answers: boolean) => void): void {
  const since = asked.get(redis)
  if (since === undefined) {
    if (redis.status !== 'ready') return
    asked.set(redis, performance.now())
    const answered = (answers: boolean) => {
      asked.delete(redis)
      if (answers) judge(true)
    }
    redis.ping().then(
      () => answered(true),
      () => answered(false),
    )
  } else if (performance.now() - since > silentMillis) {
    // After a turn of the loop: when it was this process that slept, the answer is here and only has to be read.
    setImmediate(() => {
      if (asked.get(redis) === since) judge(false)
    })
  }
}
