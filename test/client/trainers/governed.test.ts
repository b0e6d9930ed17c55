import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Supervision } from '#client/conduct.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { openTrainer, type StartChannel } from '#client/trainers/trainer.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { temporaryFolder } from '#test/folder.ts'
import { trainingOf } from './tasks.ts'

const logistic: Architecture = {
  v: 1,
  input: [2],
  layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
}
const model = new Float32Array(3)
const never = new AbortController().signal

async function opened(path: string, options: { share?: number; supervision?: Supervision } = {}) {
  const data = join(path, 'table.csv')
  await writeFile(data, `x0,x1,y\n${'1,2,1\n-1,-2,0\n'.repeat(100)}`)
  return openTfjsTrainer({ data: { kind: 'csv', path: data }, backend: 'wasm', ...options })
}
const taskOf = (epochs: number) => trainingOf(logistic, 'sigmoid-cross-entropy', 2, { epochs, batchSize: 8 })

test('a thread that is suspended trains nothing, and goes on where it was', async () => {
  await using folder = await temporaryFolder()
  const supervision = new Supervision()
  await using trainer = await opened(folder.path, { supervision })
  await using other = await opened(folder.path)
  let epochs = 0
  const suspended = Promise.withResolvers<void>()
  const running = trainer.fit(model, taskOf(10), never, ({ epoch }) => {
    epochs = epoch
    if (epoch !== 3) return
    supervision.change({ paused: true })
    suspended.resolve()
  })
  await suspended.promise
  // What was done by then is told while another thread trains; and nothing more, while that one trains again.
  const { delta } = await other.fit(model, taskOf(10), never)
  const told = epochs
  await other.fit(model, taskOf(10), never)
  expect(epochs).toBe(told)
  expect(epochs).toBeLessThan(10)
  supervision.change({ paused: false })
  expect((await running).delta).toEqual(delta)
  expect(epochs).toBe(10)
})

test('a thread whose node is stopped is ended, suspended or not, and the next fit starts another', async () => {
  await using folder = await temporaryFolder()
  const supervision = new Supervision()
  await using trainer = await opened(folder.path, { supervision })
  for (const isPaused of [false, true]) {
    const begun = Promise.withResolvers<void>()
    const seat = new AbortController()
    const running = trainer.fit(model, taskOf(100_000), seat.signal, () => begun.resolve())
    await begun.promise
    supervision.change({ paused: isPaused })
    const at = performance.now()
    supervision.change({ stopped: true })
    seat.abort(new Error('stopped'))
    await expect(running).rejects.toThrow('stopped')
    expect(performance.now() - at).toBeLessThan(1000)
    supervision.change({ stopped: false, paused: false })
  }
  expect((await trainer.fit(model, taskOf(1), never)).examples).toBe(160)
})

test('who may take a share of the time takes that much longer', async () => {
  await using folder = await temporaryFolder()
  await using whole = await opened(folder.path, { share: 1 })
  await using quarter = await opened(folder.path, { share: 0.25 })
  const elapsed = async (trainer: typeof whole) => {
    const at = performance.now()
    await trainer.fit(model, taskOf(7), never)
    return performance.now() - at
  }
  // Whatever else this machine does slows one or the other: the best of a few says what the share does.
  const ratios: number[] = []
  for (let time = 0; time < 5; time++) ratios.push((await elapsed(whole)) / (await elapsed(quarter)))
  expect(Math.min(...ratios)).toBeLessThan(0.32)
})

const OPENED = { name: 'cpu', adapter: 'none', software: false, deterministic: true, passedOver: [] } as const

test('a fit ends with its thread also where nothing tells of the end, as in a page, and the next one starts another', async () => {
  const supervision = new Supervision()
  const requests: string[] = []
  let threads = 0
  const start: StartChannel = (_opening, { heard }) => {
    threads++
    queueMicrotask(() => heard({ kind: 'open', backend: OPENED }))
    return {
      post({ kind }) {
        requests.push(kind)
        if (threads === 2) heard({ kind: 'failed', message: 'the second thread' })
      },
      end: async () => undefined,
    }
  }
  const data = { kind: 'csv', path: 'none' } as const
  await using trainer = await openTrainer({ data, backend: 'cpu', supervision }, start)
  const running = trainer.fit(model, taskOf(1), never)
  const over = running.catch((cause: unknown) => String(cause))
  while (requests.length === 0) await Promise.resolve()
  supervision.change({ stopped: true })
  expect(await over).toMatch(/TrainerFault: the training thread died: it was ended/)
  supervision.change({ stopped: false })
  await expect(trainer.fit(model, taskOf(1), never)).rejects.toThrow('the second thread')
})
