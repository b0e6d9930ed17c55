import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, expect, jest, test } from '@jest/globals'
import { Supervision } from '#client/conduct.ts'
import type { Fit } from '#client/trainers/conversation.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { openTrainer, type StartChannel } from '#client/trainers/trainer.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { trainingOf } from './tasks.ts'

const logistic: Architecture = {
  v: 1,
  input: [2],
  layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
}
/** What every thread is asked. */
const posted = jest.spyOn(Worker.prototype, 'postMessage')
afterAll(() => posted.mockRestore())

const model = new Float32Array(3)
const never = new AbortController().signal

async function opened(path: string, options: { share?: number; supervision?: Supervision } = {}) {
  const data = join(path, 'table.csv')
  await writeFile(data, `x0,x1,y\n${'1,2,1\n-1,-2,0\n'.repeat(100)}`)
  return openTfjsTrainer({ data: { kind: 'csv', path: data }, backend: 'wasm', ...options })
}
const taskOf = (epochs: number) => trainingOf(logistic, 'sigmoid-cross-entropy', 2, { epochs, batchSize: 8 })

/** A training that no test waits for. */
const endless = taskOf(100_000)

test('a thread that is suspended trains nothing, and goes on where it was', async () => {
  await using folder = await temporaryFolder()
  const supervision = new Supervision()
  await using trainer = await opened(folder.path, { supervision })
  await using other = await opened(folder.path)
  const stop = new AbortController()
  const told: number[] = []
  let next = Promise.withResolvers<void>()
  const running = trainer.fit(model, endless, stop.signal, ({ epoch }) => {
    told.push(epoch)
    if (epoch === 3) supervision.change({ paused: true })
    if (epoch >= 3) next.resolve()
  })
  await next.promise
  await untilItWaits()
  // What was done by then is told while another thread trains; and nothing more, while that one trains again.
  const { delta } = await other.fit(model, taskOf(10), never)
  const before = told.length
  await other.fit(model, taskOf(10), never)
  expect(told).toHaveLength(before)
  next = Promise.withResolvers()
  supervision.change({ paused: false })
  await next.promise
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  expect(told).toEqual(told.map((_, index) => index + 1))
  expect(told.length).toBeGreaterThan(before)

  // Wherever it is by the time that it is suspended, it comes to the same as one that never was.
  next = Promise.withResolvers()
  const again = trainer.fit(model, taskOf(10), never, ({ epoch }) => {
    if (epoch !== 3) return
    supervision.change({ paused: true })
    next.resolve()
  })
  await next.promise
  await other.fit(model, taskOf(10), never)
  supervision.change({ paused: false })
  expect((await again).delta).toEqual(delta)
})

/** Until the thread that was asked last waits at the end of a batch, at rest or suspended: it is woken, and waits on. */
async function untilItWaits(): Promise<void> {
  const latest = () => posted.mock.calls.at(-1) as unknown as readonly [Fit]
  await comesTrue(async () => Atomics.notify(latest()[0].words, 0) > 0, 50_000)
}

test('a thread whose node is stopped is ended, suspended or not, and the next fit starts another', async () => {
  await using folder = await temporaryFolder()
  const supervision = new Supervision()
  await using trainer = await opened(folder.path, { supervision })
  for (const isPaused of [false, true]) {
    const begun = Promise.withResolvers<void>()
    const seat = new AbortController()
    let epochs = 0
    const running = trainer.fit(model, endless, seat.signal, () => {
      epochs++
      begun.resolve()
    })
    await begun.promise
    supervision.change({ paused: true })
    await untilItWaits()
    // What it told by then is heard.
    for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate)
    const before = epochs
    supervision.change({ paused: isPaused })
    supervision.change({ stopped: true })
    seat.abort(new Error('stopped'))
    await expect(running).rejects.toThrow('stopped')
    // By the thread's own pace, which is as slow as the machine is: in a second it does more.
    expect(epochs - before).toBeLessThan(isPaused ? 1 : 200)
    supervision.change({ stopped: false, paused: false })
  }
  expect((await trainer.fit(model, taskOf(1), never)).examples).toBe(160)
})

test('who may take a share of the time takes that much longer', async () => {
  await using folder = await temporaryFolder()
  await using quarter = await opened(folder.path, { share: 0.25 })
  await quarter.fit(model, taskOf(7), never)
  const thread = posted.mock.contexts.at(-1) as Worker
  // What it computed, and not how long that took: whatever else this machine does takes from a thread that rests less than
  // from one that never does.
  const before = await thread.cpuUsage()
  const at = performance.now()
  const running = quarter.fit(model, taskOf(20), never)
  await untilItWaits()
  await running
  const elapsedMillis = performance.now() - at
  const { user, system } = await thread.cpuUsage(before)
  expect((user + system) / 1000 / elapsedMillis).toBeLessThan(0.32)
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
