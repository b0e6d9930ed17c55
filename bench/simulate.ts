import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { readDigits, shareDigits } from '#cli/digits.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { open, signerOf } from '#protocol/envelope.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { say } from '#protocol/messages.ts'
import type { TrainerBackend } from '#protocol/ports.ts'
import { BlockFile } from '#sim/block-file.ts'
import { federate } from '#sim/federation.ts'
import { openTrainerPool } from '#sim/trainer-pool.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { idleTrainer } from './idle-trainer.ts'
import type { Report, Table } from './report.ts'

const SITES = 1000
const ROUNDS = 2
/** So few that there is hardly any, to be taken off. */
const FEW_SITES = 100

/**
 * A run of a thousand virtual sites that all take part in every round: what the simulator costs where training is nothing,
 * and what is left of that where each site trains a small network. Beside it the floor: two signatures a site and round
 * that the sites make and the coordinator checks, on all cores.
 */
export async function bench(): Promise<Report> {
  const floor = floorPerSecond()
  const rows: Table['rows'][number][] = []
  rows.push(['no-op', ...(await measure(noOp, () => idleTrainer))])
  await using pool = await openTrainerPool({ threads: availableParallelism() })
  const sites = shareDigits(await readDigits(), { sites: SITES, alpha: 0.3, seed: sha256(utf8('bench')) })
  rows.push(['MLP 784-32-10', ...(await measure(mlp, (site) => pool.trainerOn(sites[site] as (typeof sites)[number])))])
  return {
    bench: 'simulate',
    notes: [
      `${SITES} sites, all of them in each of ${ROUNDS} rounds and in the evaluation after them; the record is kept in a file.`,
      `floor: two signatures made and checked a client-round, on ${availableParallelism()} cores: ${Math.round(floor)} client-rounds a second.`,
      'A client-round is a join, a seat, a report and a receipt: four signatures, of which each is checked once.',
      'first round: from nothing but the seed, keys and links included.',
      `A hundred sites more, of which 20 take part in a round, take ${memoryMiB().toFixed(2)} MiB of resident memory (young space of 4 MiB).`,
    ],
    tables: [
      {
        title: 'Virtual sites',
        columns: ['training', 'client-rounds/s', 'first round s'],
        rows,
      },
    ],
  }
}

async function measure(
  task: object,
  trainerOf: (site: number) => TrainerBackend,
): Promise<readonly (string | number)[]> {
  const cohort = { min: SITES, max: SITES, quorum: SITES }
  const order = createRunSchema.parse({ task, rounds: ROUNDS, budget: '1000000', masking: 'none', cohort })
  using file = new BlockFile()
  const started = performance.now()
  const overAt: number[] = []
  await federate({
    ...{ seed: sha256(utf8('bench')), sites: SITES, order, trainerOf, abreast: 2 * availableParallelism() },
    ...{ blobs: openMemoryBlobs({ blocks: file }), signal: new AbortController().signal },
    tell: ({ before: was, after }) => {
      if (was?.round && !after.round) overAt.push(performance.now())
    },
  })
  const [first = started] = overAt
  const last = overAt.at(-1) ?? first
  const perSecond = (SITES * (overAt.length - 1)) / ((last - first) / 1000)
  return [Math.round(perSecond), ((first - started) / 1000).toFixed(2)]
}

/** Of a hundred sites, by two processes that have many and few. */
function memoryMiB(): number {
  const grown = (sites: number) => {
    const script = fileURLToPath(new URL('./simulate-memory.ts', import.meta.url))
    const flags = ['--max-semi-space-size=4', '--max-old-space-size=128']
    const { stdout, status } = spawnSync(process.execPath, [...flags, script, String(sites)], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the simulation of ${sites} sites ended with ${status}`)
    return Number(stdout)
  }
  return (grown(SITES) - grown(FEW_SITES)) / 2 ** 20 / ((SITES - FEW_SITES) / 100)
}

const COMMON = {
  ...{
    seed: '00'.repeat(32),
    epochs: 1,
    batchSize: 32,
    optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 0 },
  },
  data: { kind: 'image', height: 28, width: 28, channels: 1, classes: 10, rowsMax: 1000 },
  loss: 'softmax-cross-entropy',
}
const layersOf = (...units: readonly number[]) => [
  { layer: 'flatten', name: 'flat' },
  ...units.map((count, index) => ({
    ...{ layer: 'dense', name: `dense${index}`, units: count },
    activation: index < units.length - 1 ? 'relu' : 'linear',
  })),
]
const noOp = { ...COMMON, name: 'no-op', architecture: { v: 1, input: [28, 28, 1], layers: layersOf(10) } }
const mlp = { ...COMMON, name: 'MLP', architecture: { v: 1, input: [28, 28, 1], layers: layersOf(32, 10) } }

/** Two frames made and opened, by one core, times the cores. */
function floorPerSecond(): number {
  const signer = signerOf(sha256(utf8('floor')))
  const message = {
    kind: 'decline',
    to: signer.id,
    run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV',
    round: 1,
    reason: 'busy',
  } as const
  const times = 2000
  const frames = () => Array.from({ length: times }, (_, seq) => say(signer, { ...message, seq } as never))
  frames()
  const started = performance.now()
  for (const frame of frames()) open(frame, FRAME_BYTES_MAX)
  return (availableParallelism() * times) / 2 / ((performance.now() - started) / 1000)
}
