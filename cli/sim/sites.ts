import { createWriteStream } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { DataSource, SharedRows } from '#client/data/dataset.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { eventOf } from '#coordinator/api/views.ts'
import type { CreateRun } from '#coordinator/create.ts'
import { type Ordered, orderOf } from '#coordinator/record.ts'
import type { Advanced } from '#coordinator/runner.ts'
import { assert } from '#protocol/assert.ts'
import { bundleOf } from '#protocol/bundle.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, COHORT_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import type { Masking } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { demoSplitSeed } from '#protocol/seeds.ts'
import { BlockFile } from '#sim/block-file.ts'
import { type Federated, federate } from '#sim/federation.ts'
import { openTrainerPool } from '#sim/trainer-pool.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import type { Proof } from '#verify/verdict.ts'
import { verifyRecord } from '#verify/verify.ts'
import { type Arguments, usage } from '../arguments.ts'
import { demoSeed, type Target, targetOf } from '../demo/options.ts'
import { tablePaths, tables } from '../demo/sites.ts'
import { digitsRun, type LaunchRequest, tableRun } from '../demo/task.ts'
import { readDigits, shareDigits } from '../digits.ts'
import { EXIT, Failure } from '../failure.ts'
import type { Output } from '../output.ts'
import type { Stopping } from '../stopping.ts'
import { readTaskFile } from '../task-file.ts'
import { Misfits } from './misfits.ts'
import { SitesReport } from './report.ts'

/** What a run of virtual sites is asked for. */
type SitesOptions = {
  readonly seed: Bytes
  readonly cohort: number | undefined
  /** Of a task of one's own, what it says. */
  readonly rounds: number | undefined
  readonly masking: Masking
  readonly bundle: string | undefined
  readonly data:
    | { readonly kind: 'digits'; readonly sites: number; readonly alpha: number }
    | ({ readonly kind: 'tables'; readonly folder: string } & Target)
    | { readonly kind: 'own'; readonly folder: string }
  /** Trained instead of the one that fits the data. */
  readonly task: LaunchRequest | undefined
}

const COHORT = 20
const MISTAKES_TOLD = 10
const ROUNDS = 10
const ALPHA = '0.3'
/** Largest session of secure aggregation. */
const MASKED_MAX = 128

/** `consilium sim --sites`: real training at many sites, all of them in this process. */
export async function simulateSites(args: Arguments, output: Output, stopping: Stopping): Promise<number> {
  const options = await sitesOptions(args, output)
  const { sites, launch } = await prepare(options)
  const order = orderIn(launch)
  using file = new BlockFile()
  const blobs = openMemoryBlobs({ blocks: file })
  const threads = Math.min(availableParallelism(), launch.cohort.max)
  output.note(`${sites.length} sites, ${launch.cohort.max} a round; opening ${threads} training threads …`)
  await using pool = await openTrainerPool({ threads })
  using report = new SitesReport(output, { sites: sites.length, backend: pool.backend })
  const misfits = new Misfits((line) => output.note(line))
  let told: Promise<unknown> = Promise.resolve()
  const tell = (advanced: Advanced) => {
    told = told.then(async () => report.tell(eventOf(advanced, await orderedOf(blobs, advanced))))
  }
  const federated = await federate({
    ...{ seed: options.seed, sites: sites.length, order, blobs, tell, abreast: 2 * threads, signal: stopping.signal },
    trainerOf: (site) => {
      const data = sites[site] as DataSource | SharedRows
      return misfits.on(site, data, pool.trainerOn(data))
    },
  }).catch((cause: unknown) => {
    if (stopping.signal.aborted) return undefined
    throw cause
  })
  if (!federated) return stopping.exit() ?? EXIT.unexpected
  await told
  return await finish(federated, { blobs, report, bundle: options.bundle })
}

/** A task of one's own may be wrong, and its owner is told where. */
function orderIn(launch: LaunchRequest): CreateRun {
  const order = createRunSchema.safeParse(launch)
  if (order.success) return order.data
  const lines = order.error.issues
    .slice(0, MISTAKES_TOLD)
    .map(({ path, message }) => [`/${path.join('/')}`, message] as const)
  throw new Failure(EXIT.usage, 'invalid_run', 'the task is not as the API takes it', { lines })
}

async function finish(
  { run, coordinator }: Federated,
  { blobs, report, bundle }: { blobs: BlobStore; report: SitesReport; bundle: string | undefined },
): Promise<number> {
  assert(run.manifest, 'an ended run has its record')
  const block = (cid: Cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX)
  if (bundle)
    await pipeline(
      Readable.from(bundleOf(run.manifest, block, { vectors: true })),
      createWriteStream(bundle, { flush: true }),
    )
  const verdict = await verifyRecord(run.manifest, block, { coordinator, asked: { run: run.spec.run } })
  if (!verdict.ok)
    throw new Failure(EXIT.unverified, 'unverified', `the record fails at ${verdict.step}: ${verdict.detail}`)
  report.end(verdict as Proof, bundle)
  if (verdict.outcome === 'completed') return EXIT.ok
  throw new Failure(EXIT.runFailed, 'run_failed', `the run failed: ${run.past.at(-1)?.reason ?? 'no reason given'}`)
}

/** What a run is about: asked of its task once. */
const orders = new WeakMap<object, Promise<Ordered>>()
function orderedOf(blobs: BlobStore, { after: { spec } }: Advanced): Promise<Ordered> {
  const known = orders.get(spec) ?? orderOf(blobs, spec)
  orders.set(spec, known)
  return known
}

async function sitesOptions(args: Arguments, output: Output): Promise<SitesOptions> {
  const masking = args.oneOf<Masking>('masking', ['none', 'secagg/1'])
  const least = masking === 'none' ? 2 : 3
  const most = masking === 'none' ? COHORT_MAX : MASKED_MAX
  const given = (name: string) => args.text(name) !== undefined
  const stray = ['seeds', 'nodes', 'coordinators', 'weather'].find(given)
  if (stray) throw usage('unexpected_flag', `--${stray} is of a cluster in trouble, not of virtual sites`)
  const bundle = args.text('bundle')
  const file = args.text('task')
  const task = file === undefined ? undefined : ((await readTaskFile(file, output)) as LaunchRequest)
  return {
    seed: demoSeed(args.text('seed') ?? '1'),
    cohort: given('cohort') ? args.integer('cohort', { min: least, max: most }) : undefined,
    rounds: given('rounds') ? args.integer('rounds', { min: 1, max: ROUNDS_MAX - 1 }) : undefined,
    masking,
    bundle: bundle && resolve(bundle),
    data: dataOf(args, least, task !== undefined),
    task,
  }
}

function dataOf(args: Arguments, least: number, hasTask: boolean): SitesOptions['data'] {
  const folder = args.text('data')
  if (folder === undefined) {
    const alpha = Number(args.text('alpha') ?? ALPHA)
    if (!(alpha >= 0.01 && alpha <= 1000))
      throw usage('bad_value', '--alpha is a number from 0.01 to 1000', '--alpha 0.3')
    return { kind: 'digits', sites: args.integer('sites', { min: least, max: COHORT_MAX }), alpha }
  }
  const stray = ['sites', 'alpha'].find((name) => args.text(name) !== undefined)
  if (stray)
    throw usage('unexpected_flag', `--${stray} is not for your own data`, 'there is one site for each CSV file')
  if (hasTask) {
    const told = ['label', 'classes'].find((name) => args.text(name) !== undefined)
    if (told) throw usage('unexpected_flag', `--${told} is said by the task`, 'leave it out, or leave --task out')
    return { kind: 'own', folder: resolve(folder) }
  }
  return { kind: 'tables', folder: resolve(folder), ...targetOf(args) }
}

async function prepare({ seed, cohort: asked, rounds: told, masking, data, task }: SitesOptions): Promise<{
  readonly sites: readonly (DataSource | SharedRows)[]
  readonly launch: LaunchRequest
}> {
  const ordered = (launch: LaunchRequest, cohort: number): LaunchRequest => {
    const min = Math.max(masking === 'none' ? 2 : 3, cohort - 1)
    return { ...launch, masking, cohort: { min, max: cohort, quorum: min } }
  }
  const own = task && { ...task, ...(told !== undefined && { rounds: told }) }
  const rounds = told ?? ROUNDS
  if (data.kind === 'digits') {
    const cohort = Math.min(asked ?? COHORT, data.sites)
    const sites = shareDigits(await readDigits(), { sites: data.sites, alpha: data.alpha, seed: demoSplitSeed(seed) })
    return { sites, launch: ordered(own ?? digitsRun(cohort, rounds, seed), cohort) }
  }
  const of = (paths: readonly string[]) => paths.map((path): DataSource => ({ kind: 'csv', path }))
  if (data.kind === 'own') {
    const paths = await tablePaths(data.folder)
    return { sites: of(paths), launch: ordered(own as LaunchRequest, Math.min(asked ?? COHORT, paths.length)) }
  }
  const { paths, contract } = await tables(data.folder, data.label, data.classes)
  const cohort = Math.min(asked ?? COHORT, paths.length)
  return { sites: of(paths), launch: ordered(tableRun(contract, cohort, rounds, seed), cohort) }
}
