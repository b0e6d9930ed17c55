import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { keystream, sha256 } from '#crypto'
import type { Cid } from '#protocol/ids.ts'
import type { Report } from './report.ts'
import { type Kubo, kuboBinary, startKubo } from './transfer-kubo.ts'

/** `CONSILIUM_TRANSFER_MIB` for a shorter look. */
const SIZE_BYTES = Number(process.env['CONSILIUM_TRANSFER_MIB'] ?? 64) * 2 ** 20
const RECEIVERS = [1, 4, 16] as const
/** A daemon each: more than that says nothing new. */
const KUBO_RECEIVERS_MAX = 4

/**
 * One file from one process to several, each in a process of its own and each hashing what it gets: as nodes fetch a model
 * from a coordinator; by Bitswap between Helia nodes and between Kubo daemons; and, as the limit, the bytes alone over TCP,
 * or as fast as the cores hash.
 */
export async function bench(): Promise<Report> {
  const shaRate = sha256Rate()
  const binary = kuboBinary()
  const rows: (readonly (string | number)[])[] = []
  for (const receivers of RECEIVERS) {
    const tcp = await measure('tcp', receivers)
    const limit = Math.min(tcp.rate, (shaRate * Math.min(availableParallelism(), receivers)) / receivers)
    const ours = await measure('consilium', receivers)
    // Many Helia nodes at one may come to nothing on a busy machine: then that is what the row says.
    const helia = await measure('helia', receivers).catch(() => undefined)
    const kubo = binary && receivers <= KUBO_RECEIVERS_MAX ? await measureKubo(binary, receivers) : undefined
    const row = (what: string, { rate, sentBytes, rssBytes, cpuMillis, seederCpuMillis }: Measured) => [
      ...[receivers, what, (rate / 1e6).toFixed(0), (ours.rate / rate).toFixed(2), (rate / limit).toFixed(2)],
      ...[(sentBytes / SIZE_BYTES).toFixed(2), (rssBytes / 2 ** 20).toFixed(0)],
      ...[cpuMillis, seederCpuMillis / receivers].map((millis) => ((millis * 1e6) / SIZE_BYTES).toFixed(1)),
    ]
    rows.push(row('consilium', ours))
    rows.push(helia ? row('Helia, Bitswap', helia) : [receivers, 'Helia, Bitswap', 'failed', ...Array(6).fill('')])
    if (kubo) rows.push(row('Kubo, Bitswap', kubo))
    rows.push(row('TCP', tcp), [
      receivers,
      'limit',
      (limit / 1e6).toFixed(0),
      (ours.rate / limit).toFixed(2),
      '',
      '',
      '',
    ])
  }
  return {
    bench: 'transfer',
    notes: [
      `${SIZE_BYTES / 2 ** 20} MiB under the profile unixfs-v1-2025, from one process to 1, 4 and 16 others at a time on loopback, each verified; nothing is kept by ours, blocks in memory by Helia, on disk by Kubo.`,
      `SHA-256 does ${(shaRate / 1e6).toFixed(0)} MB/s on one core here. limit: the bytes alone over TCP between as many processes, or what the cores hash for each receiver, whichever is less.`,
      binary ? 'Kubo: the real daemons, no routing.' : 'No ipfs on the PATH or in IPFS_BIN: Kubo is left out.',
    ],
    tables: [
      {
        title: 'Transfer',
        columns: [
          ...['receivers', '', 'MB/s each', 'consilium ÷ it', '÷ limit', 'copies sent', 'receiver RSS MiB'],
          ...['receiver CPU ms/MB', 'seeder, for each'],
        ],
        rows,
      },
    ],
  }
}

/** Bytes a second of each receiver, by the slowest of them; the most memory and the mean of the processor's time of one. */
type Received = { readonly rate: number; readonly rssBytes: number; readonly cpuMillis: number }
type Measured = Received & { readonly sentBytes: number; readonly seederCpuMillis: number }

async function measure(kind: 'tcp' | 'consilium' | 'helia', receivers: number): Promise<Measured> {
  const seeder = start('transfer-seeder.ts', [kind, String(SIZE_BYTES)])
  try {
    const { at, cid } = (await answer(seeder)) as { readonly at: string; readonly cid: Cid | undefined }
    const got = await receive(kind, Array<string>(receivers).fill(at), cid)
    seeder.send('sent?')
    return { ...got, ...((await answer(seeder)) as Omit<Measured, keyof Received>) }
  } finally {
    seeder.disconnect()
  }
}

async function measureKubo(binary: string, receivers: number): Promise<Measured> {
  await using daemons = new AsyncDisposableStack()
  const open = async (): Promise<Kubo> => daemons.use(await startKubo(binary))
  const seeder = await open()
  const file = keystream(sha256(new Uint8Array(0)), new Uint8Array(16))(SIZE_BYTES)
  const cid = seeder.ipfs(['add', '-Q', '--pin=false'], file) as Cid
  const receiving: Kubo[] = []
  for (let index = 0; index < receivers; index++) {
    const kubo = await open()
    kubo.ipfs(['swarm', 'connect', seeder.address])
    receiving.push(kubo)
  }
  const got = await receive(
    'kubo',
    receiving.map(({ rpc }) => rpc),
    cid,
  )
  // Its meters are a second or two behind.
  await new Promise((resolve) => setTimeout(resolve, 3000))
  const bandwidth = await fetch(`${seeder.rpc}/api/v0/stats/bw`, { method: 'POST' })
  const sentBytes = ((await bandwidth.json()) as { readonly TotalOut: number }).TotalOut
  const rssBytes = Math.max(...(await Promise.all(receiving.map((kubo) => kubo.rssBytes()))))
  return { ...got, sentBytes, rssBytes, cpuMillis: Number.NaN, seederCpuMillis: Number.NaN }
}

/** A receiver for each place, all at once when all are ready. */
async function receive(kind: string, places: readonly string[], cid: Cid | undefined): Promise<Received> {
  const children = places.map((at) => start('transfer-receiver.ts', [kind, at, String(cid), String(SIZE_BYTES)]))
  try {
    await Promise.all(children.map(answer))
    for (const child of children) child.send('go')
    const got = (await Promise.all(children.map(answer))) as (Omit<Received, 'rate'> & { readonly seconds: number })[]
    return {
      rate: SIZE_BYTES / Math.max(...got.map(({ seconds }) => seconds)),
      rssBytes: Math.max(...got.map(({ rssBytes }) => rssBytes)),
      cpuMillis: got.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0) / got.length,
    }
  } finally {
    for (const child of children) child.disconnect()
  }
}

function start(script: string, args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(`./${script}`, import.meta.url)), args)
}

async function answer(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a process of the benchmark ended with ${code}`)
  })
  const [message] = await Promise.race([once(child, 'message'), ended])
  return message
}

/** Of one core, over blocks. */
function sha256Rate(): number {
  const block = new Uint8Array(2 ** 20)
  let rate = 0
  for (let turn = 0; turn < 20; turn++) {
    const started = performance.now()
    for (let index = 0; index < 16; index++) sha256(block)
    rate = Math.max(rate, (16 * block.length * 1000) / (performance.now() - started))
  }
  return rate
}
