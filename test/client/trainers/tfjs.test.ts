import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { formatIdx } from '#client/data/idx.ts'
import { openBackend } from '#client/trainers/backend.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { type BackendLoss, TrainerFault } from '#client/trainers/trainer.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { environmentOf, softwareVulkan } from '#test/vulkan.ts'
import { backendsHere } from './backends.ts'
import type { Exhausted } from './exhausting.ts'
import type { Lost } from './losing.ts'
import { logistic, longTask, noise, someModel, tableOf, trainingOf } from './tasks.ts'

let folder: string
const never = new AbortController().signal
const momentum = { kind: 'sgd', rateMicro: 100_000, momentumMicro: 900_000 } as const

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trainer-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Rows above the line x0 + x1 = 0 are of class 1. */
async function writeTable(name: string, rows: number): Promise<string> {
  const next = noise(rows)
  const lines = Array.from({ length: rows }, () => [next(), next()] as const)
  const path = join(folder, name)
  await writeFile(path, ['x0,x1,y', ...lines.map(([a, b]) => `${a},${b},${a + b > 0 ? 1 : 0}`)].join('\n'))
  return path
}

test('a table is learnt in one thread over many rounds, on either backend, and only sums come out', async () => {
  const path = await writeTable('table.csv', 400)
  const automatic = await openBackend('auto')
  for (const backend of ['auto', 'cpu'] as const) {
    await using trainer = await openTfjsTrainer({ data: { kind: 'csv', path }, backend })
    expect(trainer.backend).toBe(backend === 'auto' ? automatic.name : 'cpu')
    expect(trainer.opened.passedOver.map((other) => other.backend)).toEqual(
      backend === 'auto' ? automatic.passedOver.map((other) => other.backend) : [],
    )
    const task = trainingOf(logistic, 'sigmoid-cross-entropy', 2, { optimiser: momentum, batchSize: 32, epochs: 2 })
    let model: Float32Array = new Float32Array(3)
    const losses: number[] = []
    const epochs: number[] = []
    for (let round = 0; round < 3; round++) {
      const update = await trainer.fit(model, task, never, ({ epoch }) => epochs.push(epoch))
      expect(Object.keys(update).toSorted()).toEqual(['delta', 'evaluation', 'examples', 'trainMillis'])
      expect(update).toMatchObject({ examples: 320, evaluation: { rows: 80 } })
      losses.push(update.evaluation.lossSumNats / update.evaluation.rows)
      model = model.map((weight, index) => weight + (update.delta[index] as number))
    }
    expect(epochs).toEqual([1, 2, 1, 2, 1, 2])
    expect(losses[0]).toBeCloseTo(Math.LN2, 6)
    const judged = await trainer.fit(model, { ...task, purpose: 'evaluate' }, never)
    expect(judged.delta).toHaveLength(0)
    expect(judged.evaluation.correct).toBeGreaterThanOrEqual(76)
    expect(judged.evaluation.lossSumNats / 80).toBeLessThan(0.3)
  }
})

test('images are learnt by convolutions: bars that stand from bars that lie', async () => {
  const next = noise(5)
  const rows = 200
  const images = new Uint8Array(rows * 64)
  const labels = Uint8Array.from({ length: rows }, (_, row) => row % 2)
  for (const [row, label] of labels.entries()) {
    const place = Math.floor((next() + 1) * 4)
    for (let step = 0; step < 8; step++) images[row * 64 + (label ? step * 8 + place : place * 8 + step)] = 255
  }
  const source = { kind: 'idx', images: join(folder, 'images.idx'), labels: join(folder, 'labels.idx') } as const
  await writeFile(source.images, formatIdx({ sides: [rows, 8, 8], bytes: images }))
  await writeFile(source.labels, formatIdx({ sides: [rows], bytes: labels }))
  const architecture: Architecture = {
    v: 1,
    input: [8, 8, 1],
    layers: [
      { layer: 'conv2d', name: 'a', filters: 4, kernel: [3, 3], strides: [1, 1], padding: 'valid', activation: 'relu' },
      { layer: 'maxPooling2d', name: 'b', pool: [2, 2], strides: [2, 2] },
      { layer: 'flatten', name: 'c' },
      { layer: 'dense', name: 'd', units: 2, activation: 'linear' },
    ],
  }
  const data = { kind: 'image', height: 8, width: 8, channels: 1, classes: 2, rowsMax: 1000 } as const
  const task = trainingOf(architecture, 'softmax-cross-entropy', 2, {
    data,
    optimiser: { ...momentum, rateMicro: 50_000 },
    batchSize: 16,
    epochs: 20,
  })
  await using trainer = await openTfjsTrainer({ data: source, backend: 'wasm' })
  const model = someModel(architecture, 2)
  const { delta, examples } = await trainer.fit(model, task, never)
  expect(examples).toBe(160)
  const trained = model.map((weight, index) => weight + (delta[index] as number))
  const { evaluation } = await trainer.fit(trained, { ...task, purpose: 'evaluate' }, never)
  expect(evaluation).toMatchObject({ rows: 40, correct: 40 })
})

describe('a fit that cannot go on', () => {
  test('stops soon after it is told to, with the reason it was told, and the next one runs', async () => {
    const path = await writeTable('stop.csv', 200)
    await using trainer = await openTfjsTrainer({ data: { kind: 'csv', path }, backend: 'wasm' })
    const task = trainingOf(logistic, 'sigmoid-cross-entropy', 2, { epochs: 1000, batchSize: 4 })
    const stop = new AbortController()
    const epochs: number[] = []
    const running = trainer.fit(new Float32Array(3), task, stop.signal, ({ epoch }) => {
      epochs.push(epoch)
      stop.abort(new Error('the round is over'))
    })
    const queued = trainer.fit(new Float32Array(3), { ...task, purpose: 'evaluate' }, never)
    await expect(running).rejects.toThrow('the round is over')
    expect(epochs.length).toBeLessThan(1000)
    expect((await queued).evaluation.rows).toBe(40)
    await expect(trainer.fit(new Float32Array(3), task, stop.signal)).rejects.toThrow('the round is over')
  })

  test('for a reason of the data is refused with the column and without a value', async () => {
    const path = await writeTable('other.csv', 50)
    await using trainer = await openTfjsTrainer({ data: { kind: 'csv', path }, backend: 'wasm' })
    const task = trainingOf({ ...logistic, input: [3] }, 'sigmoid-cross-entropy', 2, { data: tableOf(3, 2) })
    const refused = await trainer.fit(new Float32Array(4), task, never).catch((cause: unknown) => cause)
    expect(refused).toBeInstanceOf(TrainingRefused)
    expect(refused).toMatchObject({ reason: 'data-contract', message: 'data-contract: no column x2' })
  })

  test('for want of a file says which, and goes on once the file is there', async () => {
    const path = join(folder, 'late.csv')
    await using trainer = await openTfjsTrainer({ data: { kind: 'csv', path }, backend: 'wasm' })
    const task = trainingOf(logistic, 'sigmoid-cross-entropy', 2)
    await expect(trainer.fit(new Float32Array(3), task, never)).rejects.toThrow(/ENOENT.*late\.csv/)
    await writeTable('late.csv', 50)
    expect((await trainer.fit(new Float32Array(3), task, never)).examples).toBe(40)
  })

  test('because its thread died says so, and the next fit starts a fresh thread', async () => {
    const path = await writeTable('small.csv', 50)
    await using trainer = await openTfjsTrainer({ data: { kind: 'csv', path }, backend: 'wasm', heapMiB: 24 })
    const task = trainingOf(logistic, 'sigmoid-cross-entropy', 2)
    // What a data set is remembered by is a text in its heap.
    const large = { ...task, holdoutSeed: new Uint8Array(5_000_000) }
    const died = await trainer.fit(new Float32Array(3), large, never).catch((cause: unknown) => cause)
    expect(died).toBeInstanceOf(TrainerFault)
    expect(died).toMatchObject({ message: expect.stringMatching(/the training thread died.*memory/) })
    expect((await trainer.fit(new Float32Array(3), task, never)).examples).toBe(40)
  })

  test('for want of WebAssembly memory ends its thread, so that the next one computes as ever', async () => {
    const script = fileURLToPath(new URL('exhausting.ts', import.meta.url))
    // Pages of 64 KiB.
    const { stdout } = await promisify(execFile)(process.execPath, ['--wasm-max-mem-pages=700', script])
    const [small, large, again] = JSON.parse(stdout) as Exhausted
    expect(large?.[1]).toMatch(/^TrainerFault: the training thread died: WebAssembly has no room .*--max-memory/)
    expect(again?.[1]).toBe(small?.[1])
  }, 60_000)

  test('because the trainer is closed is refused, running or not', async () => {
    const path = await writeTable('closed.csv', 200)
    const trainer = await openTfjsTrainer({ data: { kind: 'csv', path }, backend: 'wasm' })
    const task = trainingOf(logistic, 'sigmoid-cross-entropy', 2, { epochs: 1000, batchSize: 1 })
    const running = trainer.fit(new Float32Array(3), task, never, () => void trainer[Symbol.asyncDispose]())
    await expect(running).rejects.toThrow(TrainerFault)
    await expect(trainer.fit(new Float32Array(3), task, never)).rejects.toThrow('the trainer is closed')
  })
})

const onGpu = (await backendsHere('a fit whose GPU is lost', ['webgpu'])).length > 0 ? test : test.skip

onGpu(
  'a fit whose GPU is lost begins again on the next backend and says so; one that is closed ends, and not the process',
  async () => {
    const path = await writeTable('lost.csv', 50)
    const script = new URL('losing.ts', import.meta.url)
    const vulkan = softwareVulkan()
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', script.href, fileURLToPath(script), path],
      {
        env: { ...process.env, ...(vulkan && environmentOf(vulkan)) },
      },
    )
    const lost = JSON.parse(stdout) as Lost
    expect(lost.losses).toMatchObject([
      { from: 'webgpu', reason: expect.stringMatching(/^the GPU was lost: /), to: {} },
    ])
    const [{ to }] = lost.losses as [BackendLoss]
    expect(lost.backend).toBe(to.name)
    expect(lost.closed).toBe('TrainerFault: the training thread died: it ended with code 0')
    // It had begun, and begins anew.
    const epochs = lost.progress.map(({ epoch }) => epoch)
    expect(epochs.indexOf(1, 1)).toBeGreaterThan(0)
    expect(epochs.slice(-20)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    await using there = await openTfjsTrainer({ data: { kind: 'csv', path }, backend: to.name })
    expect(lost.delta).toEqual([...(await there.fit(new Float32Array(3), longTask, never)).delta])
  },
  180_000,
)
