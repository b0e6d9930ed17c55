import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { CreateRun } from '#sdk/task.ts'
import type { Pins } from '#verify/run.ts'
import type { Verdict } from '#verify/verdict.ts'
import { verifyBundle } from '#verify/verify.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { openFederation, type Site } from './demo/federation.ts'
import { followRun } from './demo/follow.ts'
import { bundleOf, type DemoOptions, demoOptions } from './demo/options.ts'
import { digitSites, tablePaths, tableSites } from './demo/sites.ts'
import { digitsRun, type LaunchRequest, maskingOf, tableRun } from './demo/task.ts'
import { demoLines, type Outcome } from './demo-report.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'
import { openBundle, runIdIn } from './record-source.ts'
import type { RunEnd } from './run-progress.ts'
import { maskingLine } from './run-report.ts'
import { runFailed } from './runs-watch.ts'
import { listenForStop, type Stopping, stopped } from './stopping.ts'

/** A killed node's seat is given up this long after its link broke. */
const GRACE_MILLIS = 3000
/** The round in which --chaos strikes: kill -9 once keys are shared, no goodbye, as when the power fails. */
const CHAOS_ROUND = 2
const CHAOS_SITES_MIN = 4

/** `consilium demo`: a whole federation on this machine, in processes of their own, and the check of what it made. */
export async function execute({ args, output }: Call): Promise<number> {
  const options = demoOptions(args, new Date())
  using stopping = listenForStop()
  try {
    return await demonstrate(options, output, stopping)
  } catch (cause) {
    const exit = stopping.exit()
    if (exit !== undefined) return exit
    throw cause
  }
}

async function demonstrate(options: DemoOptions, output: Output, stopping: Stopping): Promise<number> {
  const { folder, seedText, chaos } = options
  const masking = maskingOf(await sitesIn(options))
  await mkdir(folder, { recursive: true })
  // Before anything that takes its time.
  if (output.json) {
    const time = new Date().toISOString()
    output.object({ type: 'demo.started', time, masking, seed: seedText, folder, chaos })
  } else output.line(`${maskingLine(masking)}; seed ${seedText}`)
  const { sites, launch } = await prepare(options)
  output.note(dealt(options, launch, sites.length))
  output.note(`starting one coordinator and ${sites.length} nodes, each a process of its own …`)
  const { signal } = stopping
  await using federation = await openFederation(folder, sites, {
    ...{ graceMillis: GRACE_MILLIS, signal, backend: options.backend },
    diesInRound: chaos ? CHAOS_ROUND : undefined,
  })
  const run = await federation.api.runs.create(launch as CreateRun)
  const dashboard = `${federation.api.transport.url}/runs/${run.id}`
  if (output.json) output.object({ type: 'demo.dashboard', time: new Date().toISOString(), url: dashboard })
  // To whoever looks on, and not to a file that the output goes to: it signs in.
  else output.note(`dashboard  ${dashboard}#key=${federation.apiKey}`)
  const least = launch.cohort.min
  const { end, paid } = await followRun(federation, run, { least, output, signal })
  if (!end) return stopping.exit() ?? EXIT.unexpected
  if (end.outcome !== 'completed') throw runFailed(run.id, end)

  const bundle = bundleOf(options)
  await pipeline(await run.bundle(), createWriteStream(bundle, { flush: true }))
  output.note('verifying the whole record, from the first model on …')
  const verdict = await verifyDemo(
    bundle,
    { coordinator: federation.key, asked: { run: runIdIn(run, federation.api.transport.url) } },
    end,
  )
  const backend = [...new Set(federation.nodes.map((node) => node.backend))].sort().join('+')
  const { rounds } = options
  const outcome: Outcome = {
    rounds,
    sites,
    end,
    paid,
    bundle,
    verdict,
    backend,
    masking,
    coordinator: federation.key,
  }
  say(output, outcome)
  if (options.keep) {
    output.note(
      `${federation.api.transport.url} stays up; its API key is in ${relative('', folder)}/coordinator/api-key; Ctrl-C ends it`,
    )
    await stopped(stopping)
  }
  return verdict.ok ? EXIT.ok : EXIT.unverified
}

async function prepare({ folder, data, seed, rounds }: DemoOptions): Promise<Prepared> {
  if (data.kind === 'digits') {
    const sites = await digitSites(folder, data.nodes, seed)
    return { sites, launch: digitsRun(sites.length, rounds, seed) }
  }
  const { sites, contract } = await tableSites(folder, data.folder, data.label, data.classes, seed)
  return { sites, launch: tableRun(contract, sites.length, rounds, seed) }
}

/** How many there will be. */
async function sitesIn({ data, chaos }: DemoOptions): Promise<number> {
  const sites = data.kind === 'digits' ? data.nodes : (await tablePaths(data.folder)).length
  if (chaos && sites < CHAOS_SITES_MIN)
    throw usage(
      'bad_value',
      `of ${sites} sites none can be lost: a sum of two hides nobody`,
      data.kind === 'digits' ? '--nodes 4 or more with --chaos' : 'four CSV files or more with --chaos',
    )
  return sites
}

type Prepared = { readonly sites: readonly Site[]; readonly launch: LaunchRequest }

function dealt({ data }: DemoOptions, { task }: LaunchRequest, sites: number): string {
  if (data.kind === 'digits') return `10,000 handwritten digits, dealt unevenly to ${sites} sites`
  const columns = task.data.kind === 'table' ? task.data.columns.length : 0
  return `${sites} sites agree on ${columns} columns that predict ${[data.label].flat().join(', ')}`
}

/** Here, in this process, from the file that was downloaded: as anybody else would. */
async function verifyDemo(bundle: string, pins: Pins, { model }: RunEnd): Promise<Verdict> {
  await using record = await openBundle(bundle)
  const verdict = await verifyBundle(record.file, pins)
  if (verdict.ok && verdict.model !== model)
    throw new Failure(
      EXIT.unverified,
      'other_model',
      `the record ends in ${verdict.model}, the coordinator told ${model}`,
    )
  return verdict
}

function say(output: Output, outcome: Outcome): void {
  const { rounds, sites, end, bundle, verdict, backend, masking } = outcome
  if (!output.json) {
    for (const line of demoLines(outcome)) output.line(line)
    return
  }
  output.object({
    type: 'run.completed',
    ...{ rounds, nodes: sites.length, accuracy: end.evaluation?.accuracy ?? null, model: end.model, bundle },
    ...(end.evaluation?.figures && { figures: end.evaluation.figures }),
    verify: verdict.ok ? { ok: true, model: verdict.model } : verdict,
    ledger: end.ledger,
    ...{ backend, masking },
  })
}
