import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Site, startNodeProcess } from '#cli/demo/federation.ts'
import { type ConsiliumProcess, type Said, startProcess } from '#cli/demo/process.ts'
import { tableSites } from '#cli/demo/sites.ts'
import { type LaunchRequest, tableRun } from '#cli/demo/task.ts'
import { sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import { must } from '#test/aggregation/given.ts'
import { writeHospitals } from '#test/e2e/hospitals.ts'
import { freePort } from '#test/loopback.ts'
import { Post } from './post.ts'
import { type Weather, Wire } from './wire.ts'

export type Shape = {
  /** Of the sites' keys and data: the same seed makes the same federation. */
  readonly seed: string
  readonly nodes: number
  /** How many processes the coordinator is; more than one share a Redis. */
  readonly coordinators?: number
  readonly redis?: string
  /** Between each node and each coordinator; without it nodes are linked directly. */
  readonly weather?: Weather
  readonly graceMillis?: number
  /** What goes before the first node's command. */
  readonly through?: readonly string[]
  /** More flags of `coordinator up`. */
  readonly flags?: readonly string[]
  /** Where the coordinator keeps everything; else a folder beside the nodes'. */
  readonly state?: string
}

/** Longer than any restart takes: nobody leaves whose process begins again. */
const GRACE_MILLIS = 60_000

/** Real processes on loopback, each at a post of its own. Disposing ends them and removes what they kept. */
export class Deployment implements AsyncDisposable {
  readonly folder: string
  readonly state: string
  readonly key: NodeId
  readonly apiKey: string
  readonly sites: readonly Site[]
  readonly coordinators: readonly Post[]
  /** Of each coordinator, as the test reaches it: past all wires. */
  readonly urls: readonly string[]
  readonly nodes: readonly Post[]
  /** By node, then by coordinator. */
  readonly wires: readonly (readonly Wire[])[]
  /** What nodes have said of what went wrong. */
  readonly troubles: readonly Said[]
  readonly #order: LaunchRequest

  private constructor(
    parts: Pick<
      Deployment,
      'folder' | 'state' | 'key' | 'apiKey' | 'sites' | 'coordinators' | 'urls' | 'nodes' | 'wires'
    >,
    order: LaunchRequest,
  ) {
    this.folder = parts.folder
    this.state = parts.state
    this.key = parts.key
    this.apiKey = parts.apiKey
    this.sites = parts.sites
    this.coordinators = parts.coordinators
    this.urls = parts.urls
    this.nodes = parts.nodes
    this.wires = parts.wires
    const troubles: Said[] = []
    this.troubles = troubles
    for (const node of parts.nodes)
      node.listen((said) => {
        if (/^node\.(failed|refused|declined)$/.test(said.type)) troubles.push(said)
      })
    this.#order = order
  }

  static async open(shape: Shape): Promise<Deployment> {
    await using opened = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'consilium-chaos-'))
    opened.defer(() => rm(folder, { recursive: true, force: true }))
    await writeHospitals(join(folder, 'data'), shape.nodes)
    const seed = sha256(utf8(`consilium demo\0${shape.seed}`))
    const { sites, contract } = await tableSites(folder, join(folder, 'data'), 'sick', undefined, seed)
    const state = shape.state ?? join(folder, 'state')
    const { coordinators, urls, key } = await openCoordinators({ ...shape, folder, state, sites }, opened)
    const { nodes, wires } = await openNodes({ ...shape, sites, urls, key }, opened)
    const apiKey = (await readFile(join(state, 'api-key'), 'utf8')).trim()
    const parts = { folder, state, key, apiKey, sites, coordinators, urls, nodes, wires }
    const deployment = new Deployment(parts, tableRun(contract, shape.nodes, 1, seed))
    deployment.#opened = opened.move()
    return deployment
  }

  /**
   * An order that is the same for the same name, and another's model for another. Every round of it waits for all nodes, and
   * is tried again many times; a run that then still comes to nothing ends.
   */
  order(name: string, rounds: number, change: Partial<LaunchRequest> = {}): string {
    const { task } = this.#order
    const all = this.nodes.length
    const cohort = { min: all, max: all, quorum: all }
    return JSON.stringify({
      ...this.#order,
      rounds,
      cohort,
      ...{ failuresMax: 16, onFailures: 'end' },
      task: { ...task, seed: toHex(sha256(utf8(name))) },
      ...change,
    })
  }

  posts(): readonly Post[] {
    return [...this.coordinators, ...this.nodes]
  }

  /** Ends all processes; what they kept stays until this is disposed of. */
  async close(): Promise<void> {
    await Promise.all(this.posts().map((post) => post[Symbol.asyncDispose]()))
  }

  #opened = new AsyncDisposableStack()
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    await this.#opened.disposeAsync()
  }
}

async function openCoordinators(
  shape: Shape & { readonly folder: string; readonly state: string; readonly sites: readonly Site[] },
  opened: AsyncDisposableStack,
): Promise<{ coordinators: readonly Post[]; urls: readonly string[]; key: NodeId }> {
  const { folder, state, sites, coordinators: count = 1, redis, graceMillis = GRACE_MILLIS, flags = [] } = shape
  const allow = join(folder, 'allow.txt')
  await writeFile(allow, sites.map(({ id }) => `${id}\n`).join(''))
  const common = ['--state', state, '--allow', allow, '--grace', String(graceMillis), '--log-level', 'warn', ...flags]
  const shared = redis === undefined ? [] : ['--redis', redis]
  const coordinators: Post[] = []
  const urls: string[] = []
  let key: string | undefined
  for (let index = 0; index < count; index++) {
    const name = `coordinator-${index + 1}`
    const own = join(folder, name)
    await mkdir(own)
    const port = String(await freePort())
    const start = (): Promise<ConsiliumProcess> =>
      startProcess(name, own, ['coordinator', 'up', '--port', port, ...common, ...shared])
    const post = opened.use(await Post.open('coordinator.ready', start))
    const ready = await post.ready()
    key = String(ready['coordinator'])
    coordinators.push(post)
    urls.push(String(ready['url']))
  }
  return { coordinators, urls, key: must(parseNodeId(key ?? '')) }
}

async function openNodes(
  {
    seed,
    weather,
    through,
    sites,
    urls,
    key,
  }: Shape & { sites: readonly Site[]; urls: readonly string[]; key: NodeId },
  opened: AsyncDisposableStack,
): Promise<{ nodes: readonly Post[]; wires: readonly (readonly Wire[])[] }> {
  const nodes: Post[] = []
  const wires: Wire[][] = []
  for (const [index, site] of sites.entries()) {
    const own: Wire[] = []
    for (const [at, url] of weather ? urls.entries() : [])
      own.push(opened.use(await Wire.open(Number(new URL(url).port), wireSeed(seed, index, at), weather)))
    wires.push(own)
    const url = weather ? own.map((wire) => wire.url).join(',') : urls.join(',')
    const options = through && index === 0 ? { through } : {}
    nodes.push(opened.use(await Post.open('node.ready', () => startNodeProcess(site, { url, key }, options))))
  }
  await Promise.all(nodes.map((node) => node.ready()))
  return { nodes, wires }
}

function wireSeed(seed: string, node: number, coordinator: number): number {
  return new DataView(sha256(utf8(`${seed} ${node} ${coordinator}`)).buffer).getUint32(0)
}
