import { policyFor } from '#client/policy.ts'
import { siteTerms } from '#client/site.ts'
import { Counters } from '#coordinator/counters.ts'
import { type CreateRun, createRun } from '#coordinator/create.ts'
import { RETENTION } from '#coordinator/retention.ts'
import type { Run } from '#coordinator/run.ts'
import type { Advanced, Job } from '#coordinator/runner.ts'
import { sha256 } from '#crypto'
import { concat, utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId, RunId } from '#protocol/ids.ts'
import type { Clock, PartsStore, TrainerBackend } from '#protocol/ports.ts'
import { demoSecret } from '#protocol/seeds.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { LocalLink } from './local-link.ts'
import { serve } from './serving.ts'
import { VirtualSites } from './virtual-sites.ts'
import { linkWholeNodes } from './whole-nodes.ts'

export type FederationOptions = {
  /** 32 bytes: whoever is who, and all that they draw. Sites are those of a demo with this seed. */
  readonly seed: Bytes
  readonly sites: number
  readonly order: CreateRun
  readonly trainerOf: (site: number) => TrainerBackend
  /** Sites that train at a time. */
  readonly abreast: number
  /** Where the record is kept. */
  readonly blobs: PartsStore
  /** Every site is a whole node, also where that is not needed. */
  readonly whole?: boolean
  readonly tell: (advanced: Advanced) => void
  readonly signal: AbortSignal
}

/** What a run of virtual sites left behind. */
export type Federated = { readonly run: Run; readonly coordinator: NodeId }

const STARTED_AT: Millis = 1_700_000_000_000

/**
 * A whole federation in this process: the real coordinator, and sites that train for real, however many. No time passes:
 * nobody is late, and the same seed and data give the same record to the last byte, which verifies as any other does.
 */
export async function federate(options: FederationOptions): Promise<Federated> {
  const { seed, order, blobs, signal } = options
  const end = new AbortController()
  const over = AbortSignal.any([signal, end.signal])
  const ended = Promise.withResolvers<Run>()
  const broke = (cause: unknown) => ended.reject(cause)
  signal.addEventListener('abort', () => broke(signal.reason), { once: true })
  const secret = sha256(concat(utf8('consilium sim coordinator\0'), seed))
  const coordinator = signerOf(secret).id
  const link = new LocalLink()
  const withheld = openMemoryBlobs()
  linkSites(options, { link, coordinator, withheld, broke, signal: over })
  const onFailure = ({ cause }: { readonly cause: unknown }) => broke(cause)
  try {
    const runner = await serve({
      ...{
        secret,
        clock: STANDING,
        counters: new Counters(),
        graceMillis: 0,
        retention: RETENTION,
        fatal: broke,
        over,
      },
      ...{ log: openMemoryLog(), blobs, withheld, vault: openMemoryBlobs(), snapshots: openMemorySnapshots() },
      presence: link.presence,
      queue: openMemoryQueue<Job>({ clock: STANDING, onFailure, onBroken: broke }),
      link: () => link.coordinator,
    })
    using _ = runner.subscribe((advanced) => {
      options.tell(advanced)
      if (advanced.after.phase === 'ended') ended.resolve(advanced.after)
    })
    // There is no owner to resume it.
    const spec = await createRun(blobs, runOf(seed), { ...order, onFailures: 'end' }, null)
    if (!spec.ok) throw new Error(spec.where ? `${spec.where.pointer} ${spec.where.message}` : spec.refusal)
    await runner.create(spec.value)
    return { run: await ended.promise, coordinator }
  } finally {
    end.abort(new Error('the run is over'))
  }
}

function linkSites(
  { seed, sites: count, order, trainerOf, abreast, blobs, whole = false }: FederationOptions,
  around: Pick<ConstructorParameters<typeof VirtualSites>[0], 'link' | 'coordinator' | 'broke' | 'signal'> & {
    readonly withheld: PartsStore
  },
): void {
  const sites = Array.from({ length: count }, (_, site) => {
    const secret = demoSecret(seed, site)
    return { secret, signer: signerOf(secret), trainer: untimed(trainerOf(site)) }
  })
  const { population } = order
  const allowed = population === 'open' ? 'open' : new Set(sites.map(({ signer }) => signer.id))
  const terms = siteTerms(population, allowed)
  const common = { ...around, sites, blobs, abreast, policy: policyFor(population, 2, terms) }
  if (whole || order.masking !== 'none') linkWholeNodes({ ...common, terms, clock: STANDING })
  else new VirtualSites(common)
}

/** Nobody who waits is ever woken. */
const STANDING: Clock = {
  now: () => STARTED_AT,
  wakeAt: (at, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (at <= STARTED_AT) resolve()
      else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
}

/** How long it took is no part of what is simulated. */
function untimed(trainer: TrainerBackend): TrainerBackend {
  return { ...trainer, fit: async (...args) => ({ ...(await trainer.fit(...args)), trainMillis: 0 }) }
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** The same for the same seed. */
function runOf(seed: Bytes): RunId {
  const digest = sha256(concat(utf8('consilium sim run\0'), seed))
  // The first of a ULID's 26 letters is at most 7.
  const letters = Array.from(digest.subarray(0, 26), (byte, place) => CROCKFORD[byte % (place === 0 ? 8 : 32)])
  return `run_${letters.join('')}` as RunId
}
