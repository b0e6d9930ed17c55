import { expect, test } from '@jest/globals'
import type { BackendName } from '#client/trainers/backends/choice.ts'
import { type BackendLoss, openTrainer, type StartChannel } from '#client/trainers/trainer.ts'
import { logistic, trainingOf } from './tasks.ts'

const never = new AbortController().signal
const taskOf = (batchSize: number) => trainingOf(logistic, 'sigmoid-cross-entropy', 2, { batchSize })
const measurement = { model: 'mlp', seed: new Uint8Array(32), amount: { kind: 'time', millis: 1 } } as const
const LARGE = 512

/** Threads without any learning: what they are started on, and a GPU that has no room for a batch of 512. */
function threads(refused: boolean) {
  const opened: BackendName[] = []
  const losses: BackendLoss[] = []
  const start: StartChannel = ({ backend, without }, { heard }) => {
    const wanted = backend === 'auto' ? (['webgpu', 'wasm'] as const).find((each) => !without.includes(each)) : backend
    const name = wanted ?? 'cpu'
    opened.push(name)
    const none = { adapter: 'none', software: false, deterministic: true, passedOver: [] }
    queueMicrotask(() => heard({ kind: 'open', backend: { name, ...none } }))
    const evaluation = { rows: 0, correct: 0, lossSumNats: 0 }
    return {
      post(request) {
        if (request.kind === 'tally') return
        if (request.kind === 'measure')
          return heard({ kind: 'measured', measured: { losses: [], samples: 0, millis: 1 } })
        if (name === 'webgpu' && request.task.task.batchSize === LARGE)
          return heard({ kind: 'lost', reason: 'as told', refused })
        heard({ kind: 'fitted', update: { delta: new Float32Array(3), examples: 1, evaluation, trainMillis: 1 } })
      },
      end: async () => undefined,
    }
  }
  const data = { kind: 'csv', path: 'none' } as const
  const trainer = openTrainer({ data, backend: 'auto', backendLost: (loss) => losses.push(loss) }, start)
  return { trainer, opened, losses }
}

test('a GPU that refused a step is asked again once another shape is trained, and not before', async () => {
  const { trainer: opening, opened, losses } = threads(true)
  await using trainer = await opening
  await trainer.fit(new Float32Array(3), taskOf(LARGE), never)
  await trainer.fit(new Float32Array(3), taskOf(LARGE), never)
  await trainer.measure(measurement, never)
  expect(opened).toEqual(['webgpu', 'wasm'])
  await trainer.fit(new Float32Array(3), taskOf(8), never)
  expect(trainer.backend).toBe('webgpu')
  await trainer.fit(new Float32Array(3), taskOf(LARGE), never)
  expect(opened).toEqual(['webgpu', 'wasm', 'webgpu', 'wasm'])
  expect(losses.map(({ from, reason, to }) => [from, reason, to.name])).toEqual([
    ['webgpu', 'as told', 'wasm'],
    ['wasm', 'another model is trained, and webgpu asked again', 'webgpu'],
    ['webgpu', 'as told', 'wasm'],
  ])
})

test('a GPU that was lost is not asked again', async () => {
  const { trainer: opening, opened } = threads(false)
  await using trainer = await opening
  await trainer.fit(new Float32Array(3), taskOf(LARGE), never)
  await trainer.fit(new Float32Array(3), taskOf(8), never)
  expect(opened).toEqual(['webgpu', 'wasm'])
})
