import { expect, test } from '@jest/globals'
import { NO_DATA } from '#client/data/dataset.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { REFERENCE_BATCH, REPETITION_EPOCHS, REPETITION_SAMPLES } from '#protocol/reference-models.ts'
import { isSameCurve } from '#protocol/spot-check.ts'

const never = new AbortController().signal
const seed = new Uint8Array(32).fill(1)

/** As the cpu backend computes the second repetition of this seed; a campaign does it again. */
const ON_CPU = [
  2.481544017791748, 2.0733535289764404, 1.7373731136322021, 1.4574251174926758, 1.2165753841400146, 1.012357234954834,
  0.8406562209129333, 0.6977621912956238,
]

test('any repetition gives the losses that it has among others, those of another backend, and of no other seed', async () => {
  await using trainer = await openTfjsTrainer({ data: NO_DATA, backend: 'wasm' })
  const train = async (from: number, count: number, by = seed) =>
    trainer.measure({ model: 'mlp', seed: by, amount: { kind: 'repetitions', from, count } }, never)
  const both = await train(0, 2)
  expect(both).toMatchObject({ samples: 2 * REPETITION_SAMPLES })
  const [first, second] = [both.losses.slice(0, REPETITION_EPOCHS), both.losses.slice(REPETITION_EPOCHS)]
  expect((await train(1, 1)).losses).toEqual(second)
  for (const [epoch, loss] of ON_CPU.entries())
    expect(Math.abs((second[epoch] as number) / loss - 1)).toBeLessThan(2e-5)
  expect(isSameCurve(second, ON_CPU)).toBe(true)
  expect(isSameCurve(first, ON_CPU)).toBe(false)
  expect(isSameCurve((await train(1, 1, new Uint8Array(32).fill(2))).losses, ON_CPU)).toBe(false)
})

test('a speed is measured in about the time that it is given, by steps that were done, and stops when it is told', async () => {
  await using trainer = await openTfjsTrainer({ data: NO_DATA, backend: 'wasm' })
  const amount = { kind: 'time', millis: 100 } as const
  const { samples, millis } = await trainer.measure({ model: 'cnn', seed, amount }, never)
  expect(millis).toBeGreaterThanOrEqual(100)
  expect(samples).toBeGreaterThan(0)
  expect(samples % REFERENCE_BATCH).toBe(0)
  const stop = new AbortController()
  const long = trainer.measure({ model: 'cnn', seed, amount: { kind: 'time', millis: 60_000 } }, stop.signal)
  stop.abort(new Error('enough'))
  await expect(long).rejects.toThrow('enough')
})
