import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, test } from '@jest/globals'
import { temporaryFolder } from './folder.ts'

/**
 * A real daemon on free loopback ports, its repository in a temporary folder, that dials nobody, and that whoever dials it
 * may speak with: it has no swarm key. Gone with the scope.
 */
export type KuboDaemon = AsyncDisposable & {
  /** Where it speaks libp2p. */
  readonly address: string
  readonly rpcUrl: string
  /** The command line against this daemon. Throws with what it said where it fails. */
  ipfs(args: readonly string[], input?: Uint8Array): Buffer
}

/** The environment's IPFS_BIN, or the first on the PATH. */
function ipfsPath(): string | undefined {
  const named = process.env['IPFS_BIN']
  if (named !== undefined) return named
  const paths = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'ipfs'))
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * The daemon of one test file, or undefined, and then what is named here is skipped, with the reason printed.
 *
 * @param what the promises that cannot be tested without it
 */
export async function kuboForTests(what: string): Promise<KuboDaemon | undefined> {
  const path = ipfsPath()
  if (path === undefined) {
    // Not by the console: of a file in which everything is skipped, Jest does not show what that said.
    process.stderr.write(`skipped: ${what}, since there is no ipfs on the PATH nor in IPFS_BIN\n`)
    test.skip(what, () => undefined)
    return undefined
  }
  const daemon = await startKubo(path)
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]()
  })
  return daemon
}

async function startKubo(path: string): Promise<KuboDaemon> {
  await using doors = new AsyncDisposableStack()
  const { path: repo } = doors.use(await temporaryFolder())
  const env = { PATH: process.env['PATH'], HOME: repo, IPFS_PATH: repo, IPFS_TELEMETRY: 'off' }
  const ipfs = (args: readonly string[], input?: Uint8Array) => {
    const { status, stdout, stderr } = spawnSync(path, args, { env, input, maxBuffer: 2 ** 30 })
    if (status !== 0) throw new Error(`ipfs ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  ipfs(['init', '--profile', 'test,unixfs-v1-2025'])
  const [rpc, gateway, swarm] = [await freePort(), await freePort(), await freePort()]
  await configure(join(repo, 'config'), { rpc, gateway, swarm })
  const child = spawn(path, ['daemon'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  doors.defer(() => ended(child))
  await ready(child)
  const address = `/ip4/127.0.0.1/tcp/${swarm}/p2p/${JSON.parse(String(ipfs(['id']))).ID}`
  const open = doors.move()
  return {
    rpcUrl: `http://127.0.0.1:${rpc}`,
    ...{ ipfs, address },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** Nothing that looks for others, and loopback for all that listens. */
async function configure(file: string, { rpc, gateway, swarm }: { rpc: number; gateway: number; swarm: number }) {
  const config = JSON.parse(await readFile(file, 'utf8'))
  const tcp = (port: number) => `/ip4/127.0.0.1/tcp/${port}`
  config.Addresses = { ...config.Addresses, API: tcp(rpc), Gateway: tcp(gateway), Swarm: [tcp(swarm)] }
  Object.assign(config, {
    AutoConf: { Enabled: false },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    Provide: { Enabled: false },
  })
  Object.assign(config, {
    AutoNAT: { ServiceMode: 'disabled' },
    HTTPRetrieval: { Enabled: false },
    DNS: { Resolvers: {} },
  })
  Object.assign(config, {
    Version: { SwarmCheckEnabled: false },
    Plugins: { Plugins: { telemetry: { Disabled: true } } },
  })
  Object.assign(config.Ipns, { DelegatedPublishers: [] })
  config.Routing = { Type: 'none', DelegatedRouters: [] }
  config.Discovery = { MDNS: { Enabled: false } }
  config.Swarm = {
    ...config.Swarm,
    DisableNatPortMap: true,
    RelayClient: { Enabled: false },
    RelayService: { Enabled: false },
  }
  config.Swarm = { ...config.Swarm, EnableHolePunching: false, Transports: { Network: { Relay: false, QUIC: false } } }
  for (const mount of config.Datastore.Spec.mounts) if (mount.type === 'flatfs') mount.sync = true
  await writeFile(file, JSON.stringify(config))
}

async function ready(child: ChildProcess): Promise<void> {
  const lines: string[] = []
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('no pipes')
  stderr.on('data', (text: Buffer) => void lines.push(String(text).trim()))
  for await (const line of createInterface(stdout)) {
    lines.push(line)
    if (!line.includes('Daemon is ready')) continue
    stdout.resume()
    return
  }
  throw new Error(`the daemon did not start: ${lines.slice(-5).join(' / ')}`)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
