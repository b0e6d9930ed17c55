import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { vectorBytesOf } from '#aggregation/vector.ts'
import { type CoordinatorProcess, startCoordinatorProcess } from '#cli/demo/federation.ts'
import type { ConsiliumProcess } from '#cli/demo/process.ts'
import type { Progress } from '#client/progress.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { Consilium } from '#sdk/client.ts'
import type { CreateRun } from '#sdk/task.ts'
import { TOY_ARCHITECTURE, TOY_TASK } from '#sim/toy.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'
import { freePort } from '#test/loopback.ts'
import { Wire } from './wire.ts'

const LEAVES = 5
/** Five leaves and a little: more than a node sends at a time. */
const UNITS = (LEAVES * BLOCK_BYTES_MAX) / 16
const PARAMETERS = 4 * UNITS + 1
/** One in five leaves meets a reset: 1 - exp(-1 / 4.48). */
const MEAN_BYTES_TO_RESET = 4.48 * BLOCK_BYTES_MAX
/** Leaves that a node sends at a time: more of a vector is in nobody's memory, however large it is. */
const WINDOW_MAX = 4
/** Requests and answers around a leaf, and whatever goes over the link. */
const AROUND_BYTES = 300_000

const TASK = {
  ...TOY_TASK,
  architecture: {
    ...TOY_ARCHITECTURE,
    layers: [
      { layer: 'dense', name: 'hidden', units: UNITS, activation: 'relu' },
      { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
    ],
  },
}
const ORDER = {
  ...{ task: TASK, rounds: 1, failuresMax: 1, onFailures: 'end' },
  secure: { suite: 1, corrupt: 1 },
}

/** A machine that has other work to do makes a slow line slower. */
const becomes = (condition: () => Promise<boolean>) => comesTrue(condition, LIMIT_MILLIS)
export const LIMIT_MILLIS = 90_000

/** Sites, the first behind a slow line on which one leaf in five is lost. */
async function federation(count: number, seed: number, bytesPerSecond: number) {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await temporaryFolder())
  const sites = LiveSite.toys(count)
  const state = join(folder.path, 'coordinator')
  const processes: ConsiliumProcess[] = []
  opened.defer(async () => void (await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()))))
  const port = await freePort()
  const begin = (): Promise<CoordinatorProcess> =>
    startCoordinatorProcess(
      state,
      sites.map(({ signer }) => signer.id),
      { port, graceMillis: 30_000, own: (process) => processes[processes.push(process) - 1] as ConsiliumProcess },
    )
  let coordinator = await begin()
  const { url, key, apiKeyFile } = coordinator
  const wire = opened.use(await Wire.open(port, seed, { bytesPerSecond, meanBytesToReset: MEAN_BYTES_TO_RESET }))
  const api = new Consilium({ url: url, apiKey: await readFile(apiKeyFile, 'utf8') })
  const end = new AbortController()
  const lives: Promise<void>[] = []
  opened.defer(async () => {
    end.abort()
    await Promise.all(lives)
  })
  const scope = opened.move()
  return {
    ...{ wire, api },
    /** Begins a life of a site's node. @returns what it tells, and ends it */
    live(site: number) {
      const death = new AbortController()
      const told: Progress[] = []
      const live = async () => {
        const signal = AbortSignal.any([death.signal, end.signal])
        const to = { url: site === 0 ? wire.url : url, key }
        for await (const made of (sites[site] as LiveSite).live(to, signal)) told.push(made)
      }
      const living = live()
      lives.push(living)
      const kill = () => {
        death.abort()
        return living
      }
      return { told, kill }
    },
    /** kill -9, and the same command again. */
    async crash() {
      coordinator.process.signal('SIGKILL')
      await coordinator.process.ended
      coordinator = await begin()
    },
    /** Uploads that the coordinator takes in at this moment. */
    async uploads() {
      const text = await (await fetch(`${url}/metrics`)).text()
      return Number(/^consilium_uploads (\d+)$/m.exec(text)?.[1])
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync() as Promise<void>,
  }
}

/** Who dies on the way: kill -9 once a third of the vector has gone up, the node when two thirds have. */
export type Dying = 'coordinator' | 'coordinator and node'

/**
 * One round over the slow line, checked: no leaf is sent twice but those that were lost.
 * @param count of sites, the first of which has that line
 */
export async function playOverSlowLine(order: {
  readonly masking: 'none' | 'secagg/1'
  readonly count: number
  readonly bytesPerSecond: number
  readonly dying: Dying
}): Promise<void> {
  const { masking, count, bytesPerSecond, dying } = order
  await using at = await federation(count, 5, bytesPerSecond)
  const { wire, api } = at
  let slow = at.live(0)
  for (let site = 1; site < count; site++) at.live(site)
  await becomes(async () => (await api.nodes.list().page()).data.length === count)
  const cohort = { min: count, max: count, quorum: count }
  const run = await api.runs.create({ ...ORDER, masking, cohort } as CreateRun)

  // The model has come down; a third of the vector has gone up; then two thirds. What is on its way then is lost.
  await becomes(async () => wire.seen.up > 1.5 * BLOCK_BYTES_MAX)
  let lost = await at.uploads()
  expect(lost).toBeLessThanOrEqual(WINDOW_MAX)
  await at.crash()
  if (dying === 'coordinator and node') {
    await becomes(async () => wire.seen.up > 3.2 * BLOCK_BYTES_MAX)
    lost += await at.uploads()
    await slow.kill()
    slow = at.live(0)
  }
  await becomes(async () => slow.told.some(({ kind }) => kind === 'reported'))
  const { up: sentBytes, resets } = wire.seen
  await becomes(async () => (await run.rounds().page()).data[0]?.outcome === 'closed')

  expect(resets).toBeGreaterThan(1)
  lost += resets
  expect(sentBytes).toBeGreaterThan(vectorBytesOf(PARAMETERS))
  expect(sentBytes).toBeLessThan(vectorBytesOf(PARAMETERS) + lost * BLOCK_BYTES_MAX + AROUND_BYTES)
}
