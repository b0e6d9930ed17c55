import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import type { Report, Table } from './report.ts'
import type { Trained } from './train-loop.ts'
import { MODELS, type ModelName } from './train-models.ts'

/** Backends that are tried; one that does not open here is left out, with the reason. */
const BACKENDS: readonly BackendChoice[] = ['cuda', 'webgpu', 'node', 'wasm', 'cpu']
const ON_GPU: readonly string[] = ['cuda', 'webgpu']
const BATCHES = { gpu: [32, 128, 512, 1024], cpu: [32, 128] } as const
const SECONDS = 2
/** What takes minutes for a figure of two digits is measured at one batch size. */
const SLOW: readonly string[] = ['cpu']
/** The interpreter that PyTorch and TensorFlow are looked for in. */
const PYTHON = process.env['CONSILIUM_PYTHON'] ?? 'python3'
const PEERS = ['torch', 'tensorflow'] as const

/**
 * Samples a second that each backend trains, beside PyTorch, TensorFlow and TF.js as it comes, each on one thread, or on the
 * same GPU; and what a node's round costs over a bare loop. Every loop is a process of its own, one after the other.
 */
export async function bench(): Promise<Report> {
  const notes: string[] = []
  const failed = new Set<string>()
  const rows: Table['rows'][number][] = []
  for (const name of Object.keys(MODELS) as ModelName[]) {
    for (const device of ['cpu', 'gpu'] as const) {
      const backends = BACKENDS.filter((backend) => ON_GPU.includes(backend) === (device === 'gpu'))
      if (backends.length > 0) rows.push(...(await measure({ name, device, backends, notes, failed })))
    }
  }
  return {
    bench: 'train',
    notes: [
      ...Object.entries(MODELS).map(([name, { what }]) => `${name}: ${what}.`),
      'SGD with momentum, softmax cross-entropy, the same batch of noise at every step, float32.',
      'samples/s: of CPU time, so that the rest of the machine does not count, or on a GPU of time on the wall; of turns of a quarter of a second, the one after the fastest quarter.',
      'stock: TF.js 4.22 as it comes: its layers, loss, optimiser and kernels. overhead: a fit as in a round, over a bare loop of the same operations in the same process.',
      ...new Set(notes),
    ],
    tables: [
      {
        title: 'Training',
        columns: [
          'model',
          'batch',
          'loop',
          'samples/s',
          'of TensorFlow',
          'of PyTorch',
          'of stock cpu',
          'overhead %',
          'peak MB',
        ],
        rows,
      },
    ],
  }
}

type Measuring = {
  readonly name: ModelName
  readonly device: 'cpu' | 'gpu'
  readonly backends: readonly string[]
  readonly notes: string[]
  /** Loops that did not train, with their device. */
  readonly failed: Set<string>
}

async function measure({ name, device, backends, notes, failed }: Measuring) {
  const rows: Table['rows'][number][] = []
  let stockCpu: number | undefined
  for (const batch of BATCHES[device]) {
    const isFirst = batch === BATCHES[device][0]
    const found = new Map<string, Trained>()
    const loops = new Map<string, readonly string[]>(PEERS.map((peer) => [peer, [PYTHON, pathOf('train.py'), peer]]))
    if (device === 'cpu' && 'stock' in MODELS[name])
      for (const stock of ['cpu', 'wasm'])
        loops.set(`stock ${stock}`, [process.execPath, pathOf('train-loop.ts'), 'stock', stock])
    for (const backend of backends) loops.set(backend, [process.execPath, pathOf('train-loop.ts'), 'ours', backend])
    for (const [loop, command] of loops) {
      if (!isFirst && SLOW.some((slow) => loop.endsWith(slow))) continue
      // There is no such GPU, or no such interpreter: to ask again takes as long as to train.
      if (failed.has(`${loop} ${device}`)) continue
      process.stderr.write(`${name} at ${batch}: ${loop} on the ${device} …\n`)
      const made = await trainIn([...command, name, String(batch), String(SECONDS), device])
      if (typeof made === 'string') {
        failed.add(`${loop} ${device}`)
        notes.push(`${loop} does not train on the ${device} here: ${made}`)
      } else found.set(loop, made)
    }
    stockCpu ??= found.get('stock cpu')?.perSecond
    for (const [loop, { perSecond, barePerSecond, peakBytes }] of found) {
      const over = (peer: number | undefined) => (peer ? (perSecond / peer).toFixed(2) : '')
      rows.push([
        name,
        batch,
        loop,
        perSecond.toFixed(0),
        over(found.get('tensorflow')?.perSecond),
        over(found.get('torch')?.perSecond),
        over(stockCpu),
        barePerSecond ? ((barePerSecond / perSecond - 1) * 100).toFixed(1) : '',
        (peakBytes / 1e6).toFixed(0),
      ])
    }
  }
  return rows
}

/** @returns what the process printed, or the last thing it complained of */
async function trainIn([command, ...args]: readonly string[]): Promise<Trained | string> {
  const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, complaints] = [textOf(child.stdout), textOf(child.stderr)]
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', resolve)
  })
  if (code === 0) return JSON.parse((await out).trim().split('\n').at(-1) as string) as Trained
  if (code === null) return `no ${command}`
  return (await complaints).split('\n').findLast((line) => /^\w*(?:Error|Refused)\b/.test(line)) ?? `exit ${code}`
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`./${file}`, import.meta.url))
}
