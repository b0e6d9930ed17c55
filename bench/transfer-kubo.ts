import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'

/** A Kubo daemon on loopback with a repository of its own, that knows nobody but whom it is told of. */
export type Kubo = AsyncDisposable & {
  readonly rpc: string
  /** Under which other daemons dial it. */
  readonly address: string
  ipfs(args: readonly string[], input?: Uint8Array): string
  /** The most memory that it had. */
  rssBytes(): Promise<number>
}

/** IPFS_BIN, or `ipfs` on the PATH, if it runs. */
export function kuboBinary(): string | undefined {
  const named = process.env['IPFS_BIN']
  const places = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'ipfs'))
  return [...(named ? [named] : places)].find((path) => spawnSync(path, ['version']).status === 0)
}

export async function startKubo(binary: string): Promise<Kubo> {
  const repo = mkdtempSync(join(tmpdir(), 'consilium-bench-'))
  const env = { PATH: process.env['PATH'], HOME: repo, IPFS_PATH: repo, IPFS_TELEMETRY: 'off' }
  const ipfs = (args: readonly string[], input?: Uint8Array) => {
    const { status, stdout, stderr } = spawnSync(binary, args, { env, input, maxBuffer: 2 ** 30 })
    if (status !== 0) throw new Error(`ipfs ${args[0]}: ${stderr}`)
    return String(stdout).trim()
  }
  ipfs(['init', '--profile', 'test,unixfs-v1-2025'])
  const [rpc, gateway, swarm] = await freePorts()
  await alone(join(repo, 'config'), { rpc, gateway, swarm })
  const daemon = spawn(binary, ['daemon'], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  await ready(daemon)
  return {
    ...{ ipfs, rpc: `http://127.0.0.1:${rpc}` },
    address: `/ip4/127.0.0.1/tcp/${swarm}/p2p/${JSON.parse(ipfs(['id'])).ID}`,
    async rssBytes() {
      const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8').catch(() => '')
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024
    },
    async [Symbol.asyncDispose]() {
      const exit = new Promise((resolve) => daemon.once('exit', resolve))
      daemon.kill('SIGKILL')
      await exit
      rmSync(repo, { recursive: true, force: true })
    },
  }
}

/** Nobody is looked for and nobody but loopback is listened to. */
async function alone(file: string, { rpc, gateway, swarm }: Ports): Promise<void> {
  const config = JSON.parse(await readFile(file, 'utf8'))
  const tcp = (port: number) => `/ip4/127.0.0.1/tcp/${port}`
  Object.assign(config, {
    Addresses: { ...config.Addresses, API: tcp(rpc), Gateway: tcp(gateway), Swarm: [tcp(swarm)] },
    ...{ Bootstrap: [], Routing: { Type: 'none', DelegatedRouters: [] }, Discovery: { MDNS: { Enabled: false } } },
    ...{ AutoConf: { Enabled: false }, AutoTLS: { Enabled: false }, AutoNAT: { ServiceMode: 'disabled' } },
    ...{ Provide: { Enabled: false }, HTTPRetrieval: { Enabled: false }, DNS: { Resolvers: {} } },
    ...{ Version: { SwarmCheckEnabled: false }, Plugins: { Plugins: { telemetry: { Disabled: true } } } },
    Ipns: { ...config.Ipns, DelegatedPublishers: [] },
    Swarm: {
      ...{ ...config.Swarm, DisableNatPortMap: true, EnableHolePunching: false },
      ...{ RelayClient: { Enabled: false }, RelayService: { Enabled: false } },
      Transports: { Network: { Relay: false, QUIC: false } },
    },
  })
  await writeFile(file, JSON.stringify(config))
}

type Ports = { readonly rpc: number; readonly gateway: number; readonly swarm: number }

async function ready(daemon: ChildProcess): Promise<void> {
  if (daemon.stdout)
    for await (const line of createInterface(daemon.stdout)) if (line.includes('Daemon is ready')) return
  throw new Error('the daemon did not start')
}

async function freePorts(): Promise<[number, number, number]> {
  const servers = [0, 1, 2].map(() => createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ports.push((server.address() as AddressInfo).port)
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return ports as [number, number, number]
}
