import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, test } from '@jest/globals'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { Cid } from '#protocol/ids.ts'
import { settingsOf } from '#storage/blobs/kubo-profile.ts'
import { temporaryFolder } from './folder.ts'
import { setIn } from './kubo-double.ts'
import { freePort } from './loopback.ts'
import { programAt } from './program.ts'

/** A real daemon on free loopback ports, its repository in a temporary folder, that dials nobody. Gone with the scope. */
export type KuboDaemon = AsyncDisposable & {
  readonly rpcUrl: string
  readonly gatewayUrl: string
  readonly repo: string
  pid(): number
  /** As a power cut would end it. */
  kill(): Promise<void>
  /** On the same repository and ports as before. */
  start(): Promise<void>
  /** Where the daemon keeps a block. */
  fileOf(cid: Cid): string
  /** Where it speaks libp2p. */
  address(): string
  /** The command line against this daemon. Throws with what it said where it fails. */
  ipfs(args: readonly string[], input?: Uint8Array): Buffer
}

/** The environment's IPFS_BIN, or the first on the PATH. */
export function ipfsPath(): string | undefined {
  return programAt('IPFS_BIN', 'ipfs')
}

/**
 * The daemon of one test file, or undefined, and then what is named here is skipped, with the reason printed.
 *
 * @param what the promises that cannot be tested without it
 * @param swarm `open` is one without a swarm key: whoever dials it may speak with it
 */
export async function kuboForTests(
  what: string,
  swarm: 'private' | 'open' = 'private',
): Promise<KuboDaemon | undefined> {
  const path = ipfsPath()
  if (path === undefined) {
    // Not by the console: of a file in which everything is skipped, Jest does not show what that said.
    process.stderr.write(`skipped: ${what}, since there is no ipfs on the PATH nor in IPFS_BIN\n`)
    test.skip(what, () => undefined)
    return undefined
  }
  const daemon = await startKubo(path, swarm)
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]()
  })
  return daemon
}

async function startKubo(path: string, swarm: 'private' | 'open'): Promise<KuboDaemon> {
  await using doors = new AsyncDisposableStack()
  const { path: repo } = doors.use(await temporaryFolder())
  const env = {
    ...{ PATH: process.env['PATH'], HOME: repo, IPFS_PATH: repo, IPFS_TELEMETRY: 'off' },
    ...(swarm === 'private' && { LIBP2P_FORCE_PNET: '1' }),
  }
  const ipfs = (args: readonly string[], input?: Uint8Array) => {
    const { status, stdout, stderr } = spawnSync(path, args, { env, input, maxBuffer: 2 ** 30 })
    if (status !== 0) throw new Error(`ipfs ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  ipfs(['init', '--profile', 'test,unixfs-v1-2025'])
  // As `consilium kubo swarm-key` writes it. A daemon without one would not start: LIBP2P_FORCE_PNET.
  if (swarm === 'private')
    await writeFile(join(repo, 'swarm.key'), `/key/swarm/psk/1.0.0/\n/base16/\n${'5a'.repeat(32)}\n`, { mode: 0o600 })
  const [rpc, gateway] = [await freePort(), await freePort()]
  await configure(join(repo, 'config'), addressesAt(rpc, gateway))
  let child: ChildProcess | undefined
  const start = async () => {
    child = spawn(path, ['daemon'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    return ready(child)
  }
  const kill = async () => {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const exit = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await exit
  }
  doors.defer(kill)
  await start()
  const open = doors.move()
  return {
    rpcUrl: `http://127.0.0.1:${rpc}`,
    gatewayUrl: `http://127.0.0.1:${gateway}`,
    repo,
    pid: () => child?.pid ?? 0,
    kill,
    start,
    fileOf(cid) {
      const name = base32upper.encode(CID.parse(cid).multihash.bytes).slice(1)
      return join(repo, 'blocks', name.slice(-3, -1), `${name}.data`)
    },
    address: () => JSON.parse(ipfs(['id']).toString()).Addresses[0],
    ipfs,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** What docs/ipfs.md says of a private daemon, and loopback for all that listens, on ports that are free. */
async function configure(file: string, addresses: object): Promise<void> {
  const config = JSON.parse(await readFile(file, 'utf8'))
  Object.assign(config, addresses)
  config.Gateway.NoFetch = true
  for (const { path, value } of settingsOf('private')) setIn(config, path, value)
  for (const mount of config.Datastore.Spec.mounts) if (mount.type === 'flatfs') mount.sync = true
  await writeFile(file, JSON.stringify(config))
}

function addressesAt(rpc: number, gateway: number): object {
  const [API, Gateway] = [rpc, gateway].map((port) => `/ip4/127.0.0.1/tcp/${port}`)
  return { Addresses: { API, Gateway, Swarm: ['/ip4/127.0.0.1/tcp/0'] } }
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
