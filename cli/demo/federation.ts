import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { FileSource } from '#client/data/dataset.ts'
import { nodeSecret } from '#client/node.ts'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import { signerOf } from '#protocol/envelope.ts'
import { type Bytes, type NodeId, parseNodeId } from '#protocol/ids.ts'
import { demoSecret } from '#protocol/seeds.ts'
import type { Consilium } from '#sdk/client.ts'
import { all, apiAt } from '../api-client.ts'
import { EXIT, Failure } from '../failure.ts'
import { type ConsiliumProcess, startProcess } from './process.ts'

/** A site before its node runs: its folder holds its key, and its data lie somewhere on disk. */
export type Site = { readonly name: string; readonly folder: string; readonly id: NodeId; readonly data: FileSource }

/** One coordinator and its nodes, each a process of its own, all linked. Disposing closes all of them. */
export type Federation = AsyncDisposable & {
  readonly key: NodeId
  readonly api: Consilium
  /** Of the API. */
  readonly apiKey: string
  readonly coordinator: ConsiliumProcess
  readonly nodes: readonly NodeProcess[]
}
export type NodeProcess = { readonly site: Site; readonly process: ConsiliumProcess; readonly backend: string }

/** Starting a process that loads a training engine can take long on a machine that is busy; longer than this, it hangs. */
const LINKED_MILLIS_MAX = 180_000
const POLL_MILLIS = 50
/** Of a demo site's answers. */
const MIN_CELL = 5

/** Starts them and waits until the coordinator sees every node. @param signal stops them all, whatever they are at */
export async function openFederation(
  folder: string,
  sites: readonly Site[],
  {
    graceMillis,
    signal,
    backend,
    diesInRound,
  }: {
    readonly graceMillis: number
    readonly signal: AbortSignal
    /** What every node trains on. */
    readonly backend?: BackendChoice
    /** The last site's process kills itself in this round, when its keys are shared and its input has not left. */
    readonly diesInRound?: number | undefined
  },
): Promise<Federation> {
  await using started = new AsyncDisposableStack()
  const own = (process: ConsiliumProcess): ConsiliumProcess => {
    signal.addEventListener('abort', () => process.stop(), { once: true })
    if (signal.aborted) process.stop()
    return started.use(process)
  }
  const { process, url, key, apiKeyFile } = await startCoordinatorProcess(
    join(folder, 'coordinator'),
    sites.map(({ id }) => id),
    { graceMillis, own },
  )
  const apiKey = (await readFile(apiKeyFile, 'utf8')).trim()
  const api = apiAt(url, apiKey)
  const nodes = await Promise.all(
    sites.map(async (site) => {
      const dies = site === sites.at(-1) ? diesInRound : undefined
      return { site, process: own(await startNodeProcess(site, { url, key }, { diesInRound: dies, backend })) }
    }),
  )
  const ready = await Promise.all(nodes.map((node) => node.process.first('node.ready')))
  await untilLinked(api, nodes, signal)
  const open = started.move()
  return {
    ...{ key, api, apiKey, coordinator: process },
    nodes: nodes.map((node, index) => ({ ...node, backend: String(ready[index]?.['backend']) })),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/**
 * Makes a site's folder and the key in it. People count sites from 1, the seeds from 0.
 * @param seed 32 bytes: whoever knows it is that node, which is for demonstrations only
 */
export async function makeSite(folder: string, site: number, seed: Bytes): Promise<Omit<Site, 'data'>> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const secret = await nodeSecret(folder, () => demoSecret(seed, site - 1))
  return { name: `site-${site}`, folder, id: signerOf(secret).id }
}

export type CoordinatorProcess = {
  readonly process: ConsiliumProcess
  readonly url: string
  readonly key: NodeId
  readonly apiKeyFile: string
}
export type CoordinatorOptions = {
  readonly port?: number
  readonly graceMillis: number
  /** Shares this Redis, and the folder, with other processes of the same coordinator. */
  readonly redis?: string
  /** Takes charge of the process before it is waited for. */
  readonly own: (process: ConsiliumProcess) => ConsiliumProcess
}

/** The coordinator admits these nodes and nobody else. @param port 0 takes a free one */
export async function startCoordinatorProcess(
  folder: string,
  nodes: readonly NodeId[],
  { port = 0, graceMillis, redis, own }: CoordinatorOptions,
): Promise<CoordinatorProcess> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const allow = join(folder, 'allow.txt')
  await writeFile(allow, nodes.map((id) => `${id}\n`).join(''))
  const flags = ['--state', folder, '--port', String(port), '--allow', allow, '--grace', String(graceMillis)]
  const shared = redis === undefined ? [] : ['--redis', redis]
  const args = ['coordinator', 'up', ...flags, ...shared, '--log-level', 'warn']
  const process = own(await startProcess('coordinator', folder, args))
  const ready = await process.first('coordinator.ready')
  const key = parseNodeId(String(ready['coordinator']))
  if (!key.ok) throw new Failure(EXIT.unexpected, 'bad_answer', 'the coordinator named no key when it started')
  return { process, url: String(ready['url']), key: key.value, apiKeyFile: String(ready['api_key_file']) }
}

export type NodeOptions = {
  readonly diesInRound?: number | undefined
  readonly backend?: BackendChoice | undefined
  /** A hospital's node, with the file of those who may be in a masked round with it. */
  readonly allow?: string | undefined
  /** As {@link startProcess} has it. */
  readonly through?: readonly string[]
}

/** A node that trains on its site's data and answers questions about them, for this coordinator only. */
export function startNodeProcess(
  { name, folder, data }: Site,
  coordinator: { readonly url: string; readonly key: NodeId },
  { diesInRound, backend = 'auto', allow, through }: NodeOptions = {},
): Promise<ConsiliumProcess> {
  const link = ['--coordinator', coordinator.url, '--coordinator-key', coordinator.key]
  const population = allow === undefined ? ['open'] : ['hospital', '--allow', allow]
  const flags = [
    '--state',
    folder,
    ...dataFlags(data),
    '--population',
    ...population,
    '--min-cell',
    String(MIN_CELL),
    '--backend',
    backend,
  ]
  // What is shown is rounds, and one machine plays all the sites.
  const quiet = ['--no-bench']
  const dies = diesInRound === undefined ? [] : ['--dies-in-round', String(diesInRound)]
  return startProcess(name, folder, ['node', 'up', ...link, ...flags, ...quiet, ...dies], through)
}

function dataFlags(data: FileSource): readonly string[] {
  switch (data.kind) {
    case 'csv':
      return ['--data', data.path]
    case 'idx':
      return ['--data', dirname(data.images)]
    case 'joint':
      return ['--data', data.table, '--images', data.images]
  }
}

/** Until each of these nodes is linked, so that the first round invites all of them. Throws when a process ends before. */
export async function untilLinked(
  api: Consilium,
  nodes: readonly { readonly site: Site; readonly process: ConsiliumProcess }[],
  signal: AbortSignal,
): Promise<void> {
  const started = Date.now()
  for (;;) {
    const linked = new Set((await all(api.nodes.list({ limit: 200 }))).map(({ id }) => id))
    const missing = nodes.filter(({ site }) => !linked.has(site.id))
    if (missing.length === 0) return
    const ended = missing.find(({ process }) => !process.alive())
    if (ended) throw await ended.process.failure()
    if (Date.now() - started > LINKED_MILLIS_MAX)
      throw new Failure(
        EXIT.network,
        'nodes_missing',
        `${missing.map(({ site }) => site.name).join(', ')} did not link`,
        {
          fix: `look into ${missing.map(({ site }) => join(site.folder, 'stderr.log')).join(', ')}`,
        },
      )
    await pause(POLL_MILLIS, undefined, { signal })
  }
}
