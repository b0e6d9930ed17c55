import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
import { Consilium } from '#sdk/client.ts'
import { freePort } from '#test/loopback.ts'
import { writeHospitals } from './hospitals.ts'

/** Longer than any restart takes: in these tests nobody leaves who was not killed. */
const GRACE_MILLIS = 60_000

/** Real processes on loopback, started and killed by the test. Disposing ends them and removes what they kept. */
export class Cluster implements AsyncDisposable {
  readonly folder: string
  readonly sites: readonly Site[]
  readonly launch: LaunchRequest
  coordinator: CoordinatorProcess
  readonly api: Consilium
  readonly #allow: string | undefined
  readonly #processes: ConsiliumProcess[]

  private constructor(
    parts: {
      folder: string
      sites: readonly Site[]
      launch: LaunchRequest
      coordinator: CoordinatorProcess
      allow: string | undefined
    },
    key: string,
  ) {
    this.folder = parts.folder
    this.sites = parts.sites
    this.launch = parts.launch
    this.coordinator = parts.coordinator
    this.api = new Consilium({ url: parts.coordinator.url, apiKey: key })
    this.#allow = parts.allow
    this.#processes = [parts.coordinator.process]
  }

  /** @param shape.hospitals each pins all of them, and takes masked rounds only */
  static async open(shape: { seed: string; nodes: number; rounds: number; hospitals?: boolean }): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'consilium-cluster-'))
    await writeHospitals(join(folder, 'data'), shape.nodes)
    const seed = sha256(utf8(`consilium demo\0${shape.seed}`))
    const { sites, contract } = await tableSites(folder, join(folder, 'data'), 'sick', undefined, seed)
    const run = tableRun(contract, shape.nodes, shape.rounds, seed)
    const launch: LaunchRequest = shape.hospitals ? { ...run, population: 'hospital' } : run
    const allow = shape.hospitals ? join(folder, 'hospitals.txt') : undefined
    if (allow) await writeFile(allow, sites.map(({ id }) => `${id}\n`).join(''))
    const state = join(folder, 'coordinator')
    const own = (process: ConsiliumProcess) => process
    const options = { port: await freePort(), graceMillis: GRACE_MILLIS, own }
    const coordinator = await startCoordinatorProcess(
      state,
      sites.map(({ id }) => id),
      options,
    )
    const key = await readFile(coordinator.apiKeyFile, 'utf8')
    return new Cluster({ folder, sites, launch, coordinator, allow }, key)
  }

  /** Starts the nodes of these sites one after another, each linked before the next one starts. */
  async startNodes(sites: readonly Site[]): Promise<readonly ConsiliumProcess[]> {
    const started: ConsiliumProcess[] = []
    for (const site of sites) {
      const process = await startNodeProcess(site, this.coordinator, { allow: this.#allow })
      this.#processes.push(process)
      started.push(process)
      await untilLinked(this.api, [{ site, process }], AbortSignal.timeout(60_000)).catch(async (cause: unknown) => {
        // A coordinator that has ended says why, which whoever could not reach it does not know.
        throw this.coordinator.process.alive() ? cause : await this.coordinator.process.failure()
      })
    }
    return started
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

  /** Ends all processes; what they kept stays. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process[Symbol.asyncDispose]()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}
