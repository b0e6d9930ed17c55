import { appendFile, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { vectorBytesOf } from '#aggregation/vector.ts'
import { randomBytes } from '#crypto'
import type { PublicDataset } from '#protocol/dataset.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import { PARAMETERS_MAX } from '#protocol/limits.ts'
import type { Population } from '#protocol/plan.ts'
import { Bandwidth } from '#storage/blobs/bandwidth.ts'
import { type FileBlobs, openFileBlobs } from '#storage/blobs/files.ts'
import { type BandwidthBothWays, openHttp } from '#storage/blobs/http-node.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { lockFolder } from '#storage/folder-lock.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { openKeyFile } from '#storage/secret-file.ts'
import { benchFile } from './bench-file.ts'
import { type Conduct, Supervision } from './conduct.ts'
import type { DataSource } from './data/dataset.ts'
import { Journal } from './journal.ts'
import type { Measures, OwnBench } from './measuring.ts'
import { clearOutbox } from './outbox.ts'
import { participate } from './participate.ts'
import { policyFor } from './policy.ts'
import { systemPower } from './power.ts'
import type { Progress } from './progress.ts'
import { publicTrainer, takesPublicOnly } from './public-data.ts'
import { datasetWord } from './publishing.ts'
import { Receipts } from './receipts.ts'
import { sequenceFrom } from './sequence.ts'
import { LOOPBACK, openSharedBlobs, type ShareConfig } from './sharing.ts'
import type { SiteTerms } from './site.ts'
import { forgetDrain, openSwitches, type SwitchesDoors } from './switches.ts'
import type { BackendChoice, OpenBackend } from './trainers/backends/choice.ts'
import { openTfjsTrainer } from './trainers/tfjs.ts'
import type { BackendLoss, TfjsTrainer } from './trainers/trainer.ts'
import { memoryOn, traitsOf } from './trainers/traits.ts'
import { dialFromNode } from './transports/node-line.ts'
import { type LinkTo, SocketLink } from './transports/socket-link.ts'

export type NodeConfig = {
  /** Folder of the node's key, its journal of masked rounds and its receipts. One process at a time. */
  readonly state: string
  /** `http(s)://host:port` of the coordinator, of each of its processes; without TLS only on loopback. */
  readonly urls: readonly string[]
  /** The coordinator's key, pinned. */
  readonly coordinator: NodeId
  readonly data: DataSource
  readonly backend: BackendChoice
  readonly population: Population
  /** Fewest reports in a round that this node takes part in. */
  readonly cohortMin: number
  /** What it insists on in masked rounds. */
  readonly site: SiteTerms
  /** Where it shows the other nodes of its site the public blocks that it has fetched; it shows them to nobody otherwise. */
  readonly share: ShareConfig | undefined
  /** Where those others show theirs. */
  readonly siteNodes: readonly string[]
  /** Disk for blocks that can be fetched again. */
  readonly sharedBytes: number
  /** `http(s)://host:port` of trustless gateways, asked for public blocks before the coordinator is, in this order. */
  readonly gateways?: readonly string[]
  /** What blocks may take of the line, each way; undefined: all that there is. Frames of the link are not counted. */
  readonly bandwidth?: BandwidthRule | undefined
  readonly linkChanged: LinkTo['report']
  /** Absent where the node measures nothing and says nothing of what it can do. */
  readonly bench?: BenchRule | undefined
  /** What it says in public of its data, null to take back what it has said; absent where it says nothing. */
  readonly publishes?: PublicDataset | null | undefined
  readonly backendLost?: (loss: BackendLoss) => void
  /** Of the time that training may work; undefined: all of it. */
  readonly cpuShare?: number | undefined
  /** While it exists everything stops. */
  readonly stopFile?: string | undefined
  /** Whether everything but the duties of a seat stops while the machine is on its battery. */
  readonly stopsOnBattery?: boolean | undefined
  /** Hears how the node is held back, or that it is not any more. */
  readonly conductChanged?: ((conduct: Conduct) => void) | undefined
  /** Hears why a switch cannot be told. */
  readonly switchUnclear?: ((reason: string) => void) | undefined
}

export type BenchRule = Pick<OwnBench, 'report' | 'failed'> & {
  /** Of this package. */
  readonly version: string
}

export type BandwidthRule = {
  readonly receiveBytesPerSecond: number
  readonly sendBytesPerSecond: number
}

export type RunningNode = AsyncDisposable & {
  readonly id: NodeId
  /** That it began on. */
  readonly backend: OpenBackend
  /** Where the other nodes of its site find it. */
  readonly shareUrl: string | undefined
  /** What the node does, until it is stopped. */
  readonly progress: AsyncIterable<Progress>
  /** It ends by itself, as soon as it has no seat. */
  drain(): void
}

/** The vector of the round, and one that an earlier life of this node left behind. */
const OUTBOX_BYTES_MAX = 2 * vectorBytesOf(PARAMETERS_MAX)
/** Over half a minute or so: a coordinator that begins again, twice if need be, costs no seat. */
const FETCH_ATTEMPTS = 16

/**
 * A node's root on Node.js: key file, data, trainer, journal, link. Everything it says goes to the coordinator. It listens on
 * no port, unless it is to share: then it shows the other nodes of its site what anybody may read at the coordinator.
 */
export async function startNode(config: NodeConfig): Promise<RunningNode> {
  for (const url of [...config.urls, ...config.siteNodes].map((text) => new URL(text)))
    if (url.protocol !== 'https:' && !LOOPBACK.has(url.hostname))
      throw new Error(`refusing to talk to ${url.host} without TLS: use https://`)
  await using doors = new AsyncDisposableStack()
  await mkdir(config.state, { recursive: true, mode: 0o700 })
  doors.use(lockFolder(config.state))
  const secret = await nodeSecret(config.state)
  const signer = signerOf(secret)
  const sequence = sequenceFrom(() => systemClock.now())
  const supervision = new Supervision()
  const { data, backend, cpuShare: share, backendLost } = config
  const trainer = doors.use(await openTfjsTrainer({ data, backend, share, supervision, backendLost }))
  let ticket: string | undefined
  const kept = await privatePlaces(config.state)
  const journal = doors.use(openSqliteLog({ file: kept.journal }))
  const outbox = doors.use(await openOutbox(kept.outbox, new Journal(journal)))
  const { coordinator, site } = config
  const transport = doors.use(
    new SocketLink({
      urls: config.urls,
      coordinator,
      dial: dialFromNode,
      signer,
      sequence,
      report: config.linkChanged,
    }),
  )
  // Blocks come from where the link goes: that process is there.
  const { fetch } = doors.use(openHttp(bandwidthOf(config.bandwidth)))
  const gateways = (config.gateways ?? []).map((url) => ({ url }))
  const remote = {
    ...{ url: () => transport.url, ticket: () => ticket, clock: systemClock, attempts: FETCH_ATTEMPTS, fetch },
    sources: () => gateways,
    // What goes round in the building takes nothing of the line.
    siteFetch: doors.use(openHttp()).fetch,
  }
  const shared = doors.use(await openSharedBlobs({ ...config, folder: kept.shared }, remote))
  const withheld = openRemoteBlobs({ ...remote, reads: 'withheld' })
  await forgetDrain(config.state)
  doors.use(await openSwitches(switchesOf(config), supervision))
  if (config.conductChanged) doors.use(supervision.watch(config.conductChanged))
  const stopping = new AbortController()
  doors.defer(() => stopping.abort())
  const policy = policyFor(config.population, config.cohortMin, site)
  const isPublic = config.data.kind === 'public'
  const useTicket = (text: string) => {
    ticket = text
  }
  const progress = participate(
    {
      ...{
        transport,
        blobs: shared.blobs,
        trainer: isPublic ? publicTrainer(trainer, { blobs: shared.blobs, node: signer.id }) : trainer,
        clock: systemClock,
        signer,
        secret,
        chance: randomBytes,
        coordinator,
        sequence,
      },
      ...{ policy: isPublic ? takesPublicOnly(policy) : policy, site, journal, outbox, withheld, useTicket },
      statistician: isPublic ? undefined : trainer,
      expectModel: shared.expect,
      supervision,
      measures: measuresOf(config, trainer),
      published: config.publishes === undefined ? undefined : datasetWord(config.publishes),
    },
    stopping.signal,
  )
  const opened = doors.move()
  return {
    id: signer.id,
    backend: trainer.opened,
    shareUrl: shared.url,
    progress: keepReceipts(progress, join(config.state, 'receipts.ndjson')),
    drain: () => supervision.change({ ending: true }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Whoever says what it can do lets it be checked. */
function measuresOf({ bench, state, population, site }: NodeConfig, trainer: TfjsTrainer): Measures | undefined {
  if (!bench) return undefined
  const { report, failed, version } = bench
  const traits = () => ({
    ...traitsOf(trainer.opened),
    memoryBytes: memoryOn(trainer.backend, site.memoryBytesMax),
    version,
    population,
  })
  return { measurer: trainer, bench: { traits, report, failed, ...benchFile(state) } }
}

function switchesOf({ state, stopFile, stopsOnBattery, switchUnclear }: NodeConfig): SwitchesDoors {
  return {
    ...{ state, stopFile, power: stopsOnBattery ? systemPower(process.platform) : undefined },
    unclear: switchUnclear ?? (() => undefined),
    sleep: (millis, signal) => setTimeout(millis, undefined, { signal }),
  }
}

/** One for all that this process reads, and one for all that it sends. */
function bandwidthOf(rule: BandwidthRule | undefined): BandwidthBothWays {
  if (!rule) return {}
  const { receiveBytesPerSecond, sendBytesPerSecond } = rule
  return {
    receiving: new Bandwidth(systemClock, receiveBytesPerSecond),
    sending: new Bandwidth(systemClock, sendBytesPerSecond),
  }
}

/** With the vectors that may still be asked for, and none else: nobody knows the name of one that a crash kept from being noted. */
async function openOutbox(folder: string, journal: Journal): Promise<FileBlobs> {
  const now = systemClock.now()
  if (!(await journal.awaits(now)))
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true })
  const outbox = await openFileBlobs({ folder, quotaBytes: OUTBOX_BYTES_MAX })
  await clearOutbox(outbox, journal, now)
  return outbox
}

/** For their owner only, also in a folder that others may read: shares that were given are the coordinator's to know. */
async function privatePlaces(
  state: string,
): Promise<{ readonly journal: string; readonly outbox: string; readonly shared: string }> {
  const [journal, outbox, shared] = [join(state, 'journal.sqlite'), join(state, 'outbox'), join(state, 'shared')]
  await (await open(journal, 'a', 0o600)).close()
  await mkdir(outbox, { recursive: true, mode: 0o700 })
  return { journal, outbox, shared }
}

/** The node's key, made on its first start. @returns 32 bytes */
export function nodeSecret(state: string, make: () => Bytes = () => randomBytes(32)): Promise<Bytes> {
  return openKeyFile(join(state, 'node.key'), make)
}

/** A line for each receipt, before anyone is told of it: what proves a node's pay must outlive the process. */
async function* keepReceipts(progress: AsyncIterable<Progress>, file: string): AsyncIterable<Progress> {
  const kept = new Receipts()
  for await (const receipt of receiptsIn(file)) kept.isNew(receipt)
  for await (const made of progress) {
    if (made.kind === 'paid') {
      // Told again since this node, or its coordinator, was away.
      if (!kept.isNew(made.receipt)) continue
      const { run, round, amount, receipt } = made
      await appendFile(file, `${JSON.stringify({ run, round, amount: amount.toString(), receipt })}\n`, {
        mode: 0o600,
        flush: true,
      })
    }
    yield made
  }
}

/** A line at a time: those of years are more than belongs in memory. One that a crash cut short is none. */
async function* receiptsIn(file: string): AsyncIterable<Cid> {
  const handle = await open(file).catch(() => undefined)
  if (!handle) return
  for await (const line of handle.readLines()) {
    const receipt = /"receipt":"([a-z0-9]+)"\}$/.exec(line)?.[1]
    if (receipt) yield receipt as Cid
  }
}
