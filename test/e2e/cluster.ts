import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiClient } from '#cli/api-client.ts'
import {
  type CoordinatorProcess,
  type Site,
  startCoordinatorProcess,
  startNodeProcess,
  untilLinked,
} from '#cli/demo/federation.ts'
import type { ConsiliumProcess } from '#cli/demo/process.ts'
import { tableSites } from '#cli/demo/sites.ts'
import { type LaunchRequest, tableRun } from '#cli/demo/task.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { writeHospitals } from './hospitals.ts'

/** Longer than any restart takes: in these tests nobody leaves who was not killed. */
const GRACE_MILLIS = 60_000

/** Real processes on loopback, started and killed by the test. Disposing ends them and removes what they kept. */
export class Cluster implements AsyncDisposable {
  readonly folder: string
  readonly sites: readonly Site[]
  readonly launch: LaunchRequest
  coordinator: CoordinatorProcess
  readonly api: ApiClient
  readonly #processes: ConsiliumProcess[]

  private constructor(
    parts: { folder: string; sites: readonly Site[]; launch: LaunchRequest; coordinator: CoordinatorProcess },
    key: string,
  ) {
    this.folder = parts.folder
    this.sites = parts.sites
    this.launch = parts.launch
    this.coordinator = parts.coordinator
    this.api = new ApiClient(parts.coordinator.url, key)
    this.#processes = [parts.coordinator.process]
  }

  static async open(shape: { seed: string; nodes: number; rounds: number }): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'consilium-cluster-'))
    await writeHospitals(join(folder, 'data'), shape.nodes)
    const seed = sha256(utf8(`consilium demo\0${shape.seed}`))
    const { sites, contract } = await tableSites(folder, join(folder, 'data'), 'sick', undefined, seed)
    const launch = tableRun(contract, shape.nodes, shape.rounds, seed)
    const state = join(folder, 'coordinator')
    const options = { graceMillis: GRACE_MILLIS, own: (process: ConsiliumProcess) => process }
    const coordinator = await startCoordinatorProcess(
      state,
      sites.map(({ id }) => id),
      options,
    )
    const key = await readFile(coordinator.apiKeyFile, 'utf8')
    return new Cluster({ folder, sites, launch, coordinator }, key)
  }

  /** Starts the nodes of these sites one after another, each linked before the next one starts. */
  async startNodes(sites: readonly Site[]): Promise<void> {
    for (const site of sites) {
      const process = await startNodeProcess(site, this.coordinator)
      this.#processes.push(process)
      await untilLinked(this.api, [{ site, process }], AbortSignal.timeout(60_000))
    }
  }

  /** kill -9, then the same command again on the same state and port. */
  async crashCoordinator(): Promise<void> {
    const { process, url } = this.coordinator
    process.signal('SIGKILL')
    await process.ended
    this.coordinator = await startCoordinatorProcess(
      join(this.folder, 'coordinator'),
      this.sites.map(({ id }) => id),
      { port: Number(new URL(url).port), graceMillis: GRACE_MILLIS, own: (next) => next },
    )
    this.#processes.push(this.coordinator.process)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process[Symbol.asyncDispose]()))
    await rm(this.folder, { recursive: true, force: true })
  }
}
