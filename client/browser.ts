import { config as configureZod } from 'zod'
import { randomBytes } from '#crypto'
import { signerOf } from '#protocol/envelope.ts'
import type { Amount, Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import { COHORT_MIN } from '#protocol/limits.ts'
import type { BlobStore, TrainerBackend } from '#protocol/ports.ts'
import { openIndexedBlobs } from '#storage/blobs/indexed.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openPageDatabase, readFrom, write } from '#storage/indexed/database.ts'
import { openSealedSecret } from '#storage/indexed/secret.ts'
import { openIndexedLog } from '#storage/logs/indexed.ts'
import { Supervision } from './conduct.ts'
import type { DataSource } from './data/dataset.ts'
import { Journal } from './journal.ts'
import { CoordinatorChanged, LendsElsewhere } from './lend/faults.ts'
import { benchIn } from './lend/kept-bench.ts'
import type { OwnBench } from './measuring.ts'
import { clearOutbox } from './outbox.ts'
import { participate } from './participate.ts'
import { policyFor } from './policy.ts'
import type { Progress } from './progress.ts'
import { publicTrainer, takesPublicOnly } from './public-data.ts'
import { sequenceFrom } from './sequence.ts'
import { siteTerms } from './site.ts'
import type { OpenBackend } from './trainers/backends/choice.ts'
import { openPageTrainer, type PageTrainerOptions } from './trainers/page.ts'
import { memoryOn, traitsOf } from './trainers/traits.ts'
import { dialFromPage } from './transports/page-line.ts'
import { type LinkTo, SocketLink } from './transports/socket-link.ts'

export type PageNodeConfig = Omit<PageTrainerOptions, 'data' | 'supervision'> & {
  /** Of the coordinator that served the page. */
  readonly url: string
  /** The key that it says is its own: pinned on the first visit, and compared on every later one. */
  readonly coordinator: NodeId
  readonly data: DataSource
  readonly linkChanged: LinkTo['report']
  /** Hears how fast it trained, whenever a round's training is done. */
  readonly trained: (samplesPerSecond: number) => void
  readonly bench: Pick<OwnBench, 'report' | 'failed'> & {
    /** Of this package. */
    readonly version: string
  }
}

export type RunningPageNode = AsyncDisposable & {
  readonly id: NodeId
  /** That it began on. */
  readonly backend: OpenBackend
  /** What it was paid before, the oldest first. */
  readonly earned: readonly Earned[]
  /** While it is paused it trains nothing and takes no new seat; one that it has, it keeps while others can wait. */
  pause(isPaused: boolean): void
  /** What the node does, until it is stopped. */
  readonly progress: AsyncIterable<Progress>
}

export type Earned = { readonly run: RunId; readonly round: Round; readonly amount: Amount; readonly receipt: Cid }

const DATABASE = 'consilium'
/** Over half a minute or so: a coordinator that begins again, twice if need be, costs no seat. */
const FETCH_ATTEMPTS = 16

/**
 * A node's root in a page: sealed key, journal and outbox in IndexedDB, a trainer in a Web Worker, the link. It takes open
 * rounds, plain and masked, of the coordinator that served it, says what it can do, which is checked, and answers no questions
 * about data.
 */
export async function startPageNode(config: PageNodeConfig): Promise<RunningPageNode> {
  // Its faster parsing is made by `eval`, which the page's policy refuses, and says so on the console whenever it is tried.
  configureZod({ jitless: true })
  await using doors = new AsyncDisposableStack()
  doors.use(await lockPage())
  const database = await openPageDatabase(DATABASE)
  doors.defer(() => database.close())
  const { url } = config
  const coordinator = await pinned(database, config.coordinator)
  const secret = await openSealedSecret(database, 'secret', () => randomBytes(32))
  const signer = signerOf(secret)
  const sequence = sequenceFrom(() => systemClock.now())
  const supervision = new Supervision()
  const trainer = doors.use(await openPageTrainer({ ...config, supervision }))
  const journal = openIndexedLog(database)
  const outbox = await openOutbox(database, new Journal(journal))
  const transport = doors.use(
    new SocketLink({ urls: [url], coordinator, dial: dialFromPage, signer, sequence, report: config.linkChanged }),
  )
  let ticket: string | undefined
  const remote = { url, ticket: () => ticket, attempts: FETCH_ATTEMPTS, fetch: globalThis.fetch.bind(globalThis) }
  const blobs = openRemoteBlobs(remote)
  const site = siteTerms('open', 'open')
  const policy = policyFor('open', COHORT_MIN, site)
  const isPublic = config.data.kind === 'public'
  const { version, ...told } = config.bench
  const traits = () => ({
    ...traitsOf(trainer.opened),
    ...{ memoryBytes: memoryOn(trainer.backend, site.memoryBytesMax), version, population: 'open' as const },
  })
  const stopping = new AbortController()
  doors.defer(() => stopping.abort())
  const progress = participate(
    {
      ...{ transport, coordinator, signer, secret, sequence, site, journal, outbox, clock: systemClock },
      ...{ chance: randomBytes, supervision },
      blobs,
      withheld: openRemoteBlobs({ ...remote, reads: 'withheld' }),
      trainer: timed(isPublic ? publicTrainer(trainer, { blobs, node: signer.id }) : trainer, config.trained),
      policy: isPublic ? takesPublicOnly(policy) : policy,
      measures: { measurer: trainer, bench: { traits, ...told, ...benchIn(database) } },
      useTicket: (text) => {
        ticket = text
      },
    },
    stopping.signal,
  )
  const earned = await earnedIn(database)
  const opened = doors.move()
  return {
    id: signer.id,
    backend: trainer.opened,
    earned,
    pause: (paused) => supervision.change({ paused }),
    progress: keepReceipts(progress, database),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function timed(trainer: TrainerBackend, trained: PageNodeConfig['trained']): TrainerBackend {
  return {
    ...trainer,
    async fit(...args) {
      const update = await trainer.fit(...args)
      const samples = update.examples * args[1].task.epochs
      if (samples > 0) trained((1000 * samples) / Math.max(1, update.trainMillis))
      return update
    },
  }
}

/** One tab at a time. */
async function lockPage(): Promise<AsyncDisposable> {
  const taken = Promise.withResolvers<boolean>()
  const over = Promise.withResolvers<void>()
  const held = navigator.locks.request(DATABASE, { ifAvailable: true }, (lock) => {
    taken.resolve(lock !== null)
    return lock ? over.promise : undefined
  })
  // Where the browser lets the site keep nothing, it gives it no locks either, and asks nobody whether there was one.
  held.catch(taken.reject)
  if (!(await taken.promise)) throw new LendsElsewhere('another tab lends to this coordinator already')
  return {
    async [Symbol.asyncDispose]() {
      over.resolve()
      await held
    },
  }
}

/** With the vectors that may still be asked for, and none else: nobody knows the name of one that a crash kept from being noted. */
async function openOutbox(database: IDBDatabase, journal: Journal): Promise<BlobStore> {
  const now = systemClock.now()
  if (!(await journal.awaits(now)))
    await write(database, ['blocks', 'roots'], async (open) => {
      open('blocks').clear()
      open('roots').clear()
    })
  const outbox = openIndexedBlobs(database)
  await clearOutbox(outbox, journal, now)
  return outbox
}

/** Trust on first use: whoever served the page then could have served another page as well. */
async function pinned(database: IDBDatabase, served: NodeId): Promise<NodeId> {
  const known = await readFrom<NodeId | undefined>(database, 'settings', (settings) => settings.get('coordinator'))
  if (known === undefined)
    await write(database, ['settings'], async (open) => {
      open('settings').add(served, 'coordinator')
    })
  else if (known !== served) throw new CoordinatorChanged(known, served)
  return served
}

async function earnedIn(database: IDBDatabase): Promise<readonly Earned[]> {
  const kept: (Earned & { readonly at: number })[] = await readFrom(database, 'receipts', (receipts) =>
    receipts.getAll(),
  )
  return kept.toSorted((a, b) => a.at - b.at)
}

/** Each before anyone is told of it: what proves a node's pay must outlive the page. */
async function* keepReceipts(progress: AsyncIterable<Progress>, database: IDBDatabase): AsyncIterable<Progress> {
  for await (const made of progress) {
    if (made.kind === 'paid') {
      const { run, round, amount, receipt } = made
      // Told again since this node, or its coordinator, was away.
      if (await readFrom(database, 'receipts', (receipts) => receipts.count(receipt))) continue
      await write(database, ['receipts'], async (open) => {
        open('receipts').put({ run, round, amount, receipt, at: systemClock.now() }, receipt)
      })
    }
    yield made
  }
}
