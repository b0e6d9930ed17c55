import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { openSharedRedis, type SharedRedis, type SharedRedisOptions } from '#storage/redis/connection.ts'
import { temporaryFolder } from './folder.ts'
import { freePort } from './loopback.ts'
import { programAt } from './program.ts'

/** A real server on a free loopback port, its data in a temporary folder. It is gone with the scope. */
export type RedisServer = AsyncDisposable & {
  readonly url: string
  readonly port: number
  /** As a power cut would end it. */
  kill(): Promise<void>
  /** On the same data and port as before. */
  start(): Promise<void>
  freeze(): void
  thaw(): void
  /** Its keys under a prefix that nobody else has. Closed before the server goes. */
  open(options?: Partial<SharedRedisOptions>): Promise<SharedRedis>
}

/** The environment's REDIS_SERVER, or the first on the PATH. */
export function redisPath(): string | undefined {
  return programAt('REDIS_SERVER', 'redis-server')
}

export async function startRedis(path: string, config: readonly string[] = DURABLE): Promise<RedisServer> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const scope = new AsyncDisposableStack()
  scope.use(folder)
  let child: ChildProcess | undefined
  let prefixes = 0

  async function start(): Promise<void> {
    const address = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder.path, '--save', '']
    const started = spawn(path, [...address, ...config], { stdio: ['ignore', 'pipe', 'inherit'] })
    child = started
    const lines: string[] = []
    for await (const line of createInterface(started.stdout)) {
      lines.push(line)
      if (!line.includes('Ready to accept connections')) continue
      started.stdout.resume()
      return
    }
    throw new Error(`redis-server did not start: ${lines.slice(-3).join(' / ')}`)
  }

  async function kill(): Promise<void> {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await ended
  }

  scope.defer(kill)
  try {
    await start()
  } catch (cause) {
    await scope.disposeAsync()
    throw cause
  }
  return {
    url,
    port,
    kill,
    start,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async open(options = {}) {
      const redis = await openSharedRedis({ url, prefix: `t${prefixes++}`, ...options })
      scope.use(redis)
      return redis
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']
