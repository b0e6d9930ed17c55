import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from '@jest/globals'
import { vectorBytesOf } from '#aggregation/vector.ts'
import { startCoordinatorProcess } from '#cli/demo/federation.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { Consilium } from '#sdk/client.ts'
import type { CreateRun } from '#sdk/task.ts'
import { TOY_ARCHITECTURE, TOY_TASK } from '#sim/toy.ts'
import { Wire } from '#test/chaos/wire.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'

/** NHS FLIP's issue 684: as large a payload timed out, ended the run, and held up the scheduler for five hours. */
const WHOLE_BYTES = 758_000_000
/** Of which a slice of the campaign plays a tenth. */
const BYTES = process.env['CONSILIUM_SEEDS'] === undefined ? WHOLE_BYTES : WHOLE_BYTES / 10
/** Two layers of as many units: two weights and a bias of each in the first one, and as many weights as there are pairs. */
const UNITS = Math.floor(Math.sqrt(BYTES / 4))
const PARAMETERS = 3 * UNITS + UNITS * UNITS + UNITS + UNITS + 1
const LIMIT_MILLIS = 1_500_000
const SITE = join(import.meta.dirname, '../chaos/large-site.ts')

/** Each site and the coordinator has the model, what becomes of it, and room to turn the one into the other: five times as much, or six. */
const NEEDED_BYTES = 17 * BYTES
const what = `a round with a model of ${Math.round(BYTES / 1e6)} MB closes over a line that loses one leaf in five`
const missing =
  freemem() < NEEDED_BYTES ? `${Math.round(NEEDED_BYTES / 2 ** 30)} GiB of memory are not free` : undefined

const order = {
  task: {
    ...TOY_TASK,
    architecture: {
      ...TOY_ARCHITECTURE,
      layers: [
        { layer: 'dense', name: 'first', units: UNITS, activation: 'relu' },
        { layer: 'dense', name: 'second', units: UNITS, activation: 'relu' },
        { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
      ],
    },
  },
  ...{ rounds: 1, masking: 'none', failuresMax: 1, onFailures: 'end', cohort: { min: 2, max: 2, quorum: 2 } },
  // The model comes down before a node joins.
  timing: { selectionMillis: 900_000, reportingMillis: 1_200_000, aggregationMillis: 600_000, learned: false },
}

/** What a site's process has told last, and how much memory it has had. */
function listen(child: ChildProcess) {
  const told = { kinds: new Set<string>(), peakMebibytes: 0 }
  if (child.stdout)
    createInterface(child.stdout).on('line', (line) => {
      const { kind, peakMebibytes } = JSON.parse(line) as { kind: string; peakMebibytes: number }
      told.kinds.add(kind)
      told.peakMebibytes = peakMebibytes
    })
  return told
}

async function peakMebibytesOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024)
}

if (missing) process.stderr.write(`skipped: ${what}, since ${missing}\n`)
;(missing ? test.skip : test)(
  what,
  async () => {
    await using folder = await temporaryFolder()
    const ids = LiveSite.toys(2).map(({ signer }) => signer.id)
    const state = join(folder.path, 'coordinator')
    const started = await startCoordinatorProcess(state, ids, { graceMillis: 60_000, own: (process) => process })
    await using coordinator = started.process
    const { url, key, apiKeyFile } = started
    await using wire = await Wire.open(Number(new URL(url).port), 684, { meanBytesToReset: 4.48 * BLOCK_BYTES_MAX })
    const api = new Consilium({ url: url, apiKey: await readFile(apiKeyFile, 'utf8') })
    const children = [wire.url, url].map((to, site) =>
      spawn(process.execPath, ['--disable-warning=ExperimentalWarning', SITE, to, key, String(site)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    await using _ = {
      async [Symbol.asyncDispose]() {
        for (const child of children) if (child.exitCode === null && child.kill()) await once(child, 'exit')
      },
    }
    const [slow, other] = children.map(listen) as [ReturnType<typeof listen>, ReturnType<typeof listen>]
    const becomes = (condition: () => Promise<boolean>) => comesTrue(condition, LIMIT_MILLIS)
    await becomes(async () => (await api.nodes.list().page()).data.length === 2)
    const since = performance.now()
    const run = await api.runs.create(order as CreateRun)
    const isOver = async () => (await run.rounds().page()).data.some(({ outcome }) => outcome !== 'open')
    await becomes(async () => slow.kinds.has('reported') || (await isOver()))
    const [sentBytes, resets] = [wire.seen.up, wire.seen.resets]
    await becomes(isOver)
    const [round] = (await run.rounds().page()).data
    expect(round).toMatchObject({ outcome: 'closed', reports: 2 })

    const vectorBytes = vectorBytesOf(PARAMETERS)
    const told = {
      ...{ bytes: vectorBytes, seconds: Math.round((performance.now() - since) / 1000), ...wire.seen },
      sentAgain: sentBytes - vectorBytes,
      peakMebibytes: {
        coordinator: await peakMebibytesOf(coordinator.pid),
        ...{ slow: slow.peakMebibytes, other: other.peakMebibytes },
      },
    }
    process.stdout.write(`large model campaign: ${JSON.stringify(told)}\n`)
    expect(resets).toBeGreaterThan(vectorBytes / BLOCK_BYTES_MAX / 10)
    expect(told.sentAgain).toBeLessThan(resets * BLOCK_BYTES_MAX)
    // The model, the trained one, what is left of it in the ring: nothing that grows with how often the line broke.
    expect(slow.peakMebibytes).toBeLessThan(other.peakMebibytes * 1.25 + 64)
  },
  LIMIT_MILLIS,
)
