import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { DataSource } from '#client/data/dataset.ts'
import { type BandwidthRule, type NodeConfig, nodeSecret, type RunningNode, startNode } from '#client/node.ts'
import { LOOPBACK } from '#client/sharing.ts'
import { type SiteTerms, siteTerms } from '#client/site.ts'
import { TrainerFault } from '#client/trainers/trainer.ts'
import { signerOf } from '#protocol/envelope.ts'
import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import { COHORT_MAX, COHORT_MIN, MIN_CELL_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import type { Population } from '#protocol/plan.ts'
import { readAllowList } from './allow-list.ts'
import { type Arguments, usage } from './arguments.ts'
import { backendOf, sayLoss } from './backend.ts'
import { benchTeller } from './bench.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { conductOf } from './node-conduct.ts'
import { linkTeller, sayProgress, sayReady } from './node-telling.ts'
import type { Output } from './output.ts'
import { publishedOf } from './published-dataset.ts'
import { bytesPerSecondOf } from './rate.ts'
import { nodeState } from './state.ts'
import { listenForStop, stopped } from './stopping.ts'
import { tlsFilesOf } from './tls-files.ts'

/** `consilium node up`: takes part until it is told to stop; then it finishes the seat that it has. */
export async function execute({ args, output }: Call): Promise<number> {
  const urls = urlsOf(args, 'coordinator')
  checkPrivate(urls)
  const coordinator = coordinatorOf(args)
  const population = args.oneOf(
    'population',
    ['open', 'hospital'],
    '--population hospital refuses every round that is not masked; --population open takes plain ones, where the ' +
      "coordinator can read this node's update",
  )
  const cohortMin = args.integer('cohort-min', { min: COHORT_MIN, max: COHORT_MAX })
  const site = await siteOf(args, population)
  const backend = backendOf(args)
  const sharing = sharingOf(args)
  const data = await dataOf(args)
  const publishes = await publishedOf(args, data)
  const conduct = await conductOf(args, output)
  using stopping = listenForStop(args.flag('tethered'))
  const linkChanged = linkTeller(output)
  await using node = await started({
    state: nodeState(args),
    urls,
    coordinator,
    data,
    publishes,
    backend,
    population,
    cohortMin,
    site,
    ...sharing,
    gateways: urlsOf(args, 'gateway'),
    bandwidth: bandwidthOf(args),
    linkChanged,
    backendLost: (loss) => sayLoss(output, loss),
    bench: args.flag('no-bench') ? undefined : benchTeller(output),
    ...conduct,
  })
  sayReady(output, node, { urls, coordinator })
  const following = follow(node, output, args.text('dies-in-round'))
  stopped(stopping).then(() => {
    output.note('draining: the seat that it has is finished, and no other taken; once more to stop now')
    node.drain()
  })
  await Promise.race([following, stopping.gone])
  // Whoever was told to stop and finished what it was at has done what it was told.
  const asked = stopping.exit()
  return asked === undefined || (asked === EXIT.terminated && !stopping.isGone) ? EXIT.ok : asked
}

/** That nothing trains here, and why, is known before a coordinator is asked. */
async function started(config: NodeConfig): Promise<RunningNode> {
  try {
    return await startNode(config)
  } catch (cause) {
    if (!(cause instanceof TrainerFault)) throw cause
    throw new Failure(EXIT.unexpected, 'cannot_start', cause.message, {
      fix: 'consilium node backends tells what works here',
      cause,
    })
  }
}

/** Tells of what the node does, until it ends. */
async function follow(node: RunningNode, output: Output, lastRound: string | undefined): Promise<void> {
  for await (const made of node.progress) {
    sayProgress(output, made)
    // Its keys are shared and everybody masks against them, and what it masked has not left yet.
    if (lastRound && made.kind === 'masked' && made.round >= Number(lastRound)) process.kill(process.pid, 'SIGKILL')
  }
}

/** What the node insists on in masked rounds. */
async function siteOf(args: Arguments, population: Population): Promise<SiteTerms> {
  const withholdsEvaluation = args.flag('withhold-evaluation')
  const maxCorrupt =
    args.text('max-corrupt') === undefined
      ? {}
      : { maxCorrupt: args.integer('max-corrupt', { min: 1, max: SESSION_MEMBERS_MAX }) }
  const minCell = args.text('min-cell') === undefined ? null : args.integer('min-cell', { min: 1, max: MIN_CELL_MAX })
  const memoryBytesMax = 1024 ** 2 * args.integer('max-memory', { min: 1, max: 2 ** 24 })
  const file = args.text('allow')
  if (file === undefined && population === 'hospital')
    throw usage(
      'who_is_allowed',
      'a hospital node needs --allow: without a list of its own it would take whomever the coordinator invents, and masks ' +
        'hide nothing among invented nodes',
      '--allow nodes.txt (ids from consilium node id, one a line), taken from the sites themselves',
    )
  const allowed = file === undefined ? 'open' : new Set((await readAllowList(file)).keys())
  if (allowed !== 'open') await checkListed(allowed, nodeState(args), file)
  const takesGivenStart = population === 'open' || args.flag('given-start')
  return siteTerms(population, allowed, {
    ...{ ...maxCorrupt, withholdsEvaluation, takesGivenStart, minCell, memoryBytesMax },
  })
}

async function checkListed(allowed: ReadonlySet<NodeId>, state: string, file: string | undefined): Promise<void> {
  const { id } = signerOf(await nodeSecret(state))
  if (!allowed.has(id))
    throw usage(
      'not_on_allow_list',
      `${file} does not list this node, so every masked round would be refused`,
      `add ${id}`,
    )
}

/** Said again, or with commas between. */
function urlsOf(args: Arguments, name: 'coordinator' | 'gateway'): readonly string[] {
  const said = args.texts(name)
  const urls = (said.length > 0 ? said : [args.text(name) ?? []].flat()).flatMap((text) => text.split(','))
  for (const url of urls)
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw usage('bad_value', `--${name} is an http or https URL, not ${url}`)
  return urls
}

/** The node would refuse as well, in words for a program. */
function checkPrivate(urls: readonly string[]): void {
  for (const { protocol, hostname, host } of urls.map((url) => new URL(url)))
    if (protocol !== 'https:' && !LOOPBACK.has(hostname))
      throw usage('no_tls', `refusing to talk to ${host} without TLS`, 'use https://')
}

/** What it shows the other nodes of its site, and where those are. */
function sharingOf(args: Arguments): Pick<NodeConfig, 'share' | 'siteNodes' | 'sharedBytes'> {
  const siteNodes = args.texts('site-nodes').flatMap((text) => text.split(','))
  for (const url of siteNodes)
    if (!URL.canParse(url) || new URL(url).origin !== url)
      throw usage('bad_value', `--site-nodes are URLs as https://host:port, not ${url}`)
  const sharedBytes = args.integer('shared-quota', { min: SHARED_BYTES_MIN, max: Number.MAX_SAFE_INTEGER })
  return { share: shareOf(args), siteNodes, sharedBytes }
}

function shareOf(args: Arguments): NodeConfig['share'] {
  const [address, tls] = [args.text('share'), tlsFilesOf(args, 'share-')]
  if (address === undefined && tls === undefined) return undefined
  const [, host, port] = /^(\[[\da-fA-F:]+\]|[\w.-]+):(\d{1,5})$/.exec(address ?? '') ?? []
  if (host === undefined || Number(port) > 65_535)
    throw usage('bad_value', `--share is host:port, not ${address ?? 'missing'}`, '--share 127.0.0.1:7412')
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), tls }
}

/** A block of the largest takes at most an eighth of it. */
const SHARED_BYTES_MIN = 16 * 1024 ** 2

/** One rate for both ways, or what comes and then what goes. */
function bandwidthOf(args: Arguments): BandwidthRule | undefined {
  const text = args.text('bandwidth')
  if (text === undefined) return undefined
  const [receive, send = receive, ...more] = text.split(',').map(bytesPerSecondOf)
  if (!receive || !send || more.length > 0 || Math.min(receive, send) < BANDWIDTH_LEAST)
    throw usage(
      'bad_value',
      `--bandwidth is a rate of at least 256kbit/s, or two of them, not ${text}`,
      '--bandwidth 4Mbit/s, or --bandwidth 8Mbit/s,1Mbit/s for what comes and what goes',
    )
  return { receiveBytesPerSecond: receive, sendBytesPerSecond: send }
}

/** What is slower is cut by the coordinator as an idle transfer, sooner or later. */
const BANDWIDTH_LEAST = 32_000

function coordinatorOf(args: Arguments): NodeId {
  const text = args.required(
    'coordinator-key',
    'the coordinator prints its key when it starts; take it from whoever runs it, not from the network',
  )
  const id = parseNodeId(text)
  if (id.ok) return id.value
  throw usage('bad_value', `--coordinator-key is not a key: ${id.detail ?? id.refusal}`)
}

async function dataOf(args: Arguments): Promise<DataSource> {
  if (args.flag('public')) {
    if (args.text('data') === undefined && args.text('images') === undefined) return { kind: 'public' }
    throw usage('data_or_public', '--data and --public exclude each other', 'give one of them')
  }
  const path = args.required(
    'data',
    '--data site.csv, or a folder with images.idx and labels.idx; or --public, to train on what tasks themselves name',
  )
  const images = args.text('images')
  if (images !== undefined) {
    if (await isFile(path, images)) return { kind: 'joint', table: resolve(path), images: resolve(images) }
    throw new Failure(EXIT.data, 'no_data', `${path} and ${images} are not two files`, {
      fix: 'give a CSV file as --data, and an IDX file with an image for each of its rows as --images',
    })
  }
  if (await isFile(path)) {
    // Else it would link, take seats and lose each of them.
    if ((await stat(path)).size === 0) throw new Failure(EXIT.data, 'no_data', `${path} is empty`, { fix: DATA_FIX })
    return { kind: 'csv', path: resolve(path) }
  }
  const both = { images: join(resolve(path), 'images.idx'), labels: join(resolve(path), 'labels.idx') }
  if (await isFile(both.images, both.labels)) return { kind: 'idx', ...both }
  const isThere = await stat(path).catch(() => undefined)
  throw new Failure(
    EXIT.data,
    'no_data',
    isThere ? `${path} holds no images.idx and labels.idx` : `there is no ${path}`,
    { fix: DATA_FIX },
  )
}

const DATA_FIX = 'give a CSV file with a header line, or a folder with images.idx and labels.idx'

/** Each of them. */
async function isFile(...paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)))
  return found.every((each) => each?.isFile() === true)
}
