import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, expect, jest, test } from '@jest/globals'
import { Supervision } from '#client/conduct.ts'
import type { Fit, Reply, Request } from '#client/trainers/conversation.ts'
import type { RestraintDoors } from '#client/trainers/restraint.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { openTrainer, type StartChannel, type TrainerOptions } from '#client/trainers/trainer.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
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

/** Never gives a thread up, however slow the machine is. */
const patient: RestraintDoors['sleep'] = () => new Promise(() => {})

async function opened(path: string, options: Partial<Omit<TrainerOptions, 'data' | 'backend'>> = {}) {
  const data = join(path, 'table.csv')
  await writeFile(data, `x0,x1,y\n${'1,2,1\n-1,-2,0\n'.repeat(100)}`)
  return openTfjsTrainer({ data: { kind: 'csv', path: data }, backend: 'wasm', sleep: patient, ...options })
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
const data = { kind: 'csv', path: 'none' } as const
const FITTED: Extract<Reply, { kind: 'fitted' }> = {
  kind: 'fitted',
  update: {
    ...{ delta: new Float32Array([1]), examples: 1, trainMillis: 1 },
    evaluation: { rows: 1, correct: 1, lossSumNats: 1 },
  },
}

/** Threads that do what a test says, in a time that passes as it says. */
async function staged(supervision: Supervision) {
  const clock = virtualClock(0)
  const [posted, ended]: [Exclude<Request, { kind: 'tally' }>[], number[]] = [[], []]
  const threads: { say: (reply: Reply) => void }[] = []
  const start: StartChannel = (_opening, { heard }) => {
    const thread = threads.push({ say: heard })
    queueMicrotask(() => heard({ kind: 'open', backend: OPENED }))
    return {
      post: (request) => void posted.push(request as Fit),
      async end() {
        ended.push(thread)
      },
    }
  }
  const sleep: RestraintDoors['sleep'] = (millis, signal) => clock.wakeAt(clock.now() + millis, signal)
  const trainer = await openTrainer({ data, backend: 'cpu', supervision, sleep }, start)
  const asked = async (count: number) => {
    while (posted.length < count) await Promise.resolve()
    return posted.at(-1) as Fit
  }
  return { trainer, clock, posted, ended, threads, asked, [Symbol.asyncDispose]: () => trainer[Symbol.asyncDispose]() }
}

/** As a thread that waits for its first word to change says it. */
const comeToRest = ({ words }: Fit) => void Atomics.store(words, 2, 1)
const word = ({ words }: Fit) => Atomics.load(words, 0)
const [GO, WAIT, STOP] = [0, 1, 2]

test('a thread that is in a batch 700 ms after a pause is ended, and its fit begun again once it may be', async () => {
  const supervision = new Supervision()
  await using stage = await staged(supervision)
  const { trainer, clock, posted, ended, threads, asked } = stage
  const told: number[] = []
  const running = trainer.fit(model, taskOf(2), never, ({ epoch }) => told.push(epoch))
  const first = await asked(1)
  threads[0]?.say({ kind: 'progress', at: { epoch: 1, epochs: 2, loss: 1 } })
  supervision.change({ paused: true })
  expect(word(first)).toBe(WAIT)
  await clock.advance(699)
  // Nothing new: the time that it has is not begun again.
  supervision.change({ draining: true })
  expect(ended).toEqual([])
  await clock.advance(1)
  expect(ended).toContain(1)
  expect(word(first)).toBe(STOP)
  await clock.advance(3_600_000)
  expect([threads.length, posted.length]).toEqual([1, 1])
  supervision.change({ paused: false, draining: false })
  const second = await asked(2)
  expect([second.model, second.task, word(second)]).toEqual([first.model, first.task, GO])
  threads[1]?.say({ kind: 'progress', at: { epoch: 1, epochs: 2, loss: 1 } })
  threads[1]?.say(FITTED)
  expect(await running).toEqual(FITTED.update)
  expect(told).toEqual([1, 1])
  await clock.advance(1000)
  expect(threads).toHaveLength(2)
})

test('a thread that came to rest is not ended, nor one that may go on before its time is over, nor one that is done', async () => {
  const supervision = new Supervision()
  await using stage = await staged(supervision)
  const { trainer, clock, ended, threads, asked } = stage
  const running = trainer.fit(model, taskOf(2), never)
  const request = await asked(1)
  for (let times = 0; times < 3; times++) {
    supervision.change({ paused: true })
    await clock.advance(600)
    supervision.change({ paused: false })
  }
  supervision.change({ paused: true })
  comeToRest(request)
  await clock.advance(10_000)
  supervision.change({ paused: false })
  expect(word(request)).toBe(GO)
  Atomics.store(request.words, 2, 0)
  supervision.change({ paused: true })
  threads[0]?.say(FITTED)
  expect(await running).toEqual(FITTED.update)
  await clock.advance(10_000)
  expect([ended, clock.waiting()]).toEqual([[], 0])
})

test('on its battery a fit that is given up ends its thread, too, where the batch takes long; the end of a round does not', async () => {
  const supervision = new Supervision()
  await using stage = await staged(supervision)
  const { trainer, clock, ended, threads, asked } = stage
  const seat = new AbortController()
  const running = trainer.fit(model, taskOf(2), seat.signal)
  const over = expect(running).rejects.toThrow('on-battery')
  const request = await asked(1)
  supervision.change({ onBattery: true })
  seat.abort(new Error('on-battery'))
  expect(word(request)).toBe(STOP)
  await clock.advance(700)
  await over
  expect(ended).toContain(1)
  supervision.change({ onBattery: false })
  const round = new AbortController()
  const next = trainer.fit(model, taskOf(2), round.signal)
  const late = expect(next).rejects.toThrow('the round is over')
  await asked(2)
  round.abort(new Error('the round is over'))
  await clock.advance(10_000)
  expect(ended).not.toContain(2)
  threads[1]?.say({ kind: 'stopped' })
  await late
})

test('a fit that waits until it may begin again ends with its round, and with its trainer', async () => {
  for (const ends of ['round', 'trainer'] as const) {
    const supervision = new Supervision()
    await using stage = await staged(supervision)
    const { trainer, clock, asked } = stage
    const seat = new AbortController()
    const running = trainer.fit(model, taskOf(2), seat.signal)
    const over = expect(running).rejects.toThrow(`the ${ends} is`)
    await asked(1)
    supervision.change({ paused: true })
    await clock.advance(700)
    if (ends === 'round') seat.abort(new Error('the round is over'))
    else await trainer[Symbol.asyncDispose]()
    await over
  }
})

test('a fit that was begun again comes to the same bits', async () => {
  await using folder = await temporaryFolder()
  const supervision = new Supervision()
  // Nobody is waited for: whether the thread has come to rest by then or not, nothing may come of it.
  await using trainer = await opened(folder.path, { supervision, sleep: async () => undefined })
  await using other = await opened(folder.path)
  const { delta } = await other.fit(model, taskOf(10), never)
  for (const at of [1, 5]) {
    const paused = Promise.withResolvers<void>()
    let isFirst = true
    const running = trainer.fit(model, taskOf(10), never, ({ epoch }) => {
      if (epoch !== at || !isFirst) return
      isFirst = false
      supervision.change({ paused: true })
      paused.resolve()
    })
    await paused.promise
    await new Promise(setImmediate)
    supervision.change({ paused: false })
    expect((await running).delta).toEqual(delta)
  }
})

test('a thread that broke is ended at once, and the next fit starts another', async () => {
  const supervision = new Supervision()
  await using stage = await staged(supervision)
  const { trainer, ended, threads, asked } = stage
  const running = trainer.fit(model, taskOf(1), never)
  const fault = expect(running).rejects.toThrow('the training thread died: memory access out of bounds')
  await asked(1)
  threads[0]?.say({ kind: 'broken', message: 'memory access out of bounds' })
  await fault
  expect(ended).toEqual([1])
  const next = trainer.fit(model, taskOf(1), never)
  await asked(2)
  threads[1]?.say(FITTED)
  expect(await next).toEqual(FITTED.update)
  expect(threads).toHaveLength(2)
})

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
  await using trainer = await openTrainer({ data, backend: 'cpu', supervision }, start)
  const running = trainer.fit(model, taskOf(1), never)
  const over = running.catch((cause: unknown) => String(cause))
  while (requests.length === 0) await Promise.resolve()
  supervision.change({ stopped: true })
  expect(await over).toMatch(/TrainerFault: the training thread died: it was ended/)
  supervision.change({ stopped: false })
  await expect(trainer.fit(model, taskOf(1), never)).rejects.toThrow('the second thread')
})
