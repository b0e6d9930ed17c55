import { expect, test } from '@jest/globals'
import type { Measured, Measurement, Measurer, OwnBench, Traits } from '#client/measuring.ts'
import { Capabilities } from '#coordinator/capabilities.ts'
import type { Capability, MeasuredSpeed } from '#protocol/capability.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { REFERENCE_MODEL_NAMES, type ReferenceModel } from '#protocol/reference-models.ts'
import { encodeCurve } from '#protocol/spot-check.ts'
import { toyTrainer } from '#sim/toy.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { type Bench, bench, NOW, seat } from './bench.ts'

const DAY = 86_400_000
const seed = new Uint8Array(32).fill(5)

type Asked = { readonly measurement: Measurement; readonly answer: PromiseWithResolvers<Measured> }

/** Training that comes to its end when the test says so, or is stopped. */
class Hand implements Measurer {
  readonly asked: Asked[] = []

  measure(measurement: Measurement, signal: AbortSignal): Promise<Measured> {
    const answer = Promise.withResolvers<Measured>()
    signal.addEventListener('abort', () => answer.reject(signal.reason), { once: true })
    this.asked.push({ measurement, answer })
    return answer.promise
  }
}

/** Every model at its own speed, but for those that this backend has no kernels for. */
function quick(without: readonly ReferenceModel[] = []): Measurer & { readonly asked: Measurement[] } {
  const asked: Measurement[] = []
  return {
    asked,
    async measure(measurement) {
      asked.push(measurement)
      if (without.includes(measurement.model)) throw new TrainingRefused('unsupported-layer', 'it has none')
      const samples = 1000 * (1 + REFERENCE_MODEL_NAMES.indexOf(measurement.model))
      return { losses: [2, 1], samples, millis: 500 }
    },
  }
}

const TRAITS: Traits = {
  ...{ backend: 'wasm', adapter: '', software: false, deterministic: true, memoryBytes: 2 ** 30, version: '1.0.0' },
  population: 'open',
}

function own(kept: readonly MeasuredSpeed[] = []) {
  const said = { kept: [] as Capability[], reported: [] as Capability[], failed: [] as unknown[], traits: TRAITS }
  const doors: OwnBench = {
    traits: () => said.traits,
    kept: async () => kept,
    keep: async (capability) => void said.kept.push(capability),
    report: (capability) => void said.reported.push(capability),
    failed: (cause) => void said.failed.push(cause),
  }
  return Object.assign(said, { doors })
}

const measure = (repetitions = 1) =>
  ({ kind: 'measure', model: 'mlp', seed, repetitions, closesAt: NOW + 9000 }) as const
const measuredIn = (speeds: readonly MeasuredSpeed[]) =>
  speeds.map(({ model, milliSamplesPerSecond }) => [model, milliSamplesPerSecond])

test('a node measures itself and says so, again when its link is new, and anew after a day', async () => {
  const [measurer, ours] = [quick(['transformer']), own()]
  const node = bench({ measures: { measurer, bench: ours.doors } })
  const said = await node.heard()
  if (said.kind !== 'capability') throw new Error(said.kind)
  expect(measuredIn(said.speeds)).toEqual([
    ['mlp', 2_000_000],
    ['cnn', 4_000_000],
  ])
  expect(said).toMatchObject({ backend: 'wasm', memoryBytes: 2 ** 30, population: 'open' })
  expect(ours.kept).toEqual(ours.reported)
  node.link()
  const again = await node.heard()
  expect({ ...again, seq: 0 }).toEqual({ ...said, seq: 0 })
  expect(measurer.asked).toHaveLength(3)
  await node.clock.advance(DAY)
  // Once more, for a coordinator that would hear nothing else so soon after what it had heard before.
  expect({ ...(await node.heard()), seq: 0 }).toEqual({ ...said, seq: 0 })
  expect(await node.heard()).toMatchObject({ kind: 'capability', speeds: [{ measuredAt: NOW + DAY }, {}] })
  expect(measurer.asked).toHaveLength(6)
  expect(new Set(measurer.asked.map((one) => String(one.seed))).size).toBe(6)
  expect(ours.failed).toEqual([])
})

test('what was measured in an earlier life is said again, until it is a day old or of another device', async () => {
  const kept = [{ model: 'mlp', milliSamplesPerSecond: 7, measuredAt: 9 * DAY + 3_600_000 }] as const
  const [measurer, ours] = [quick(), own(kept)]
  const node = bench({ measures: { measurer, bench: ours.doors }, clock: virtualClock(10 * DAY) })
  expect(await node.heard()).toMatchObject({ speeds: kept })
  expect(measurer.asked).toEqual([])
  await node.clock.advance(3_600_000)
  expect(await node.heard()).toMatchObject({ speeds: kept })
  expect(await node.heard()).toMatchObject({ speeds: [{ milliSamplesPerSecond: 2_000_000 }, {}, {}] })
  ours.traits = { ...TRAITS, backend: 'cpu' }
  await node.clock.advance(60_000)
  expect(await node.heard()).toMatchObject({ backend: 'cpu' })
})

test('a device that is lost is told until it is heard, and no check goes by the lost one', async () => {
  const [measurer, ours] = [quick(), own()]
  const node = bench({ measures: { measurer, bench: ours.doors } })
  const log = openMemoryLog()
  const capabilities = new Capabilities({ log, clock: node.clock })
  const hear = async () => {
    const said = await node.heard()
    if (said.kind !== 'capability') throw new Error(said.kind)
    const { kind: _, to: _to, seq, ...report } = said
    return capabilities.report(node.signer.id, seq, report)
  }
  const believed = async () => (await capabilities.get(node.signer.id))?.report.backend
  expect(await hear()).toMatchObject({ ok: true })
  await node.clock.advance(60_000)
  ours.traits = { ...TRAITS, backend: 'cpu' }
  await node.clock.advance(60_000)
  expect([await hear(), await believed()]).toEqual([{ ok: false, refusal: 'too-often', detail: undefined }, 'wasm'])
  node.say(measure())
  expect(await node.heard()).toMatchObject({ kind: 'busy' })
  await node.clock.advance(660_000)
  expect([await hear(), await believed()]).toEqual([{ ok: true, value: undefined }, 'cpu'])
  node.say(measure())
  expect(await node.heard()).toMatchObject({ kind: 'measured' })
})

test('a node trains what it is asked to and tells every loss, and the time by its own clock', async () => {
  const measurer = new Hand()
  const node = bench({ measures: { measurer } })
  node.say(measure(2))
  await asked(node, measurer, 1)
  const [{ measurement, answer }] = measurer.asked as [Asked]
  expect(measurement).toEqual({ model: 'mlp', seed, amount: { kind: 'repetitions', from: 0, count: 2 } })
  const losses = Array.from({ length: 16 }, (_, epoch) => 2.3 / (1 + epoch))
  answer.resolve({ losses, samples: 4096, millis: 1234.6 })
  const { message, heard } = await node.frame()
  const bytes = encodeCurve(losses)
  expect(message).toMatchObject({ kind: 'measured', seed, curve: cidOf(RAW, bytes), trainMillis: 1235 })
  expect(heard.attached).toEqual([{ cid: cidOf(RAW, bytes), bytes }])
})

test('a round goes before a check: a node that trains is busy, and one that is seated stops what it measures', async () => {
  const measurer = new Hand()
  const training = Promise.withResolvers<void>()
  const toy = toyTrainer(0)
  const trainer = {
    ...toy,
    fit: async (...args: Parameters<typeof toy.fit>) => training.promise.then(() => toy.fit(...args)),
  }
  const node = bench({ measures: { measurer }, trainer })
  node.say(measure())
  await asked(node, measurer, 1)
  await seat(node)
  expect(await node.heard()).toMatchObject({ kind: 'busy', seed })
  node.say(measure())
  expect(await node.heard()).toMatchObject({ kind: 'busy', seed })
  expect(measurer.asked).toHaveLength(1)
  training.resolve()
  expect(await node.heard()).toMatchObject({ kind: 'report' })
  node.say(measure())
  await asked(node, measurer, 2)
})

test('a measurement that a round interrupts is made when the round is over', async () => {
  const [measurer, ours] = [new Hand(), own()]
  const node = bench({ measures: { measurer, bench: ours.doors } })
  await asked(node, measurer, 1)
  await seat(node)
  expect(await node.heard()).toMatchObject({ kind: 'report' })
  await node.clock.advance(1000)
  await asked(node, measurer, 2)
  expect(measurer.asked.map(({ measurement }) => measurement.model)).toEqual(['mlp', 'mlp'])
  expect(ours.failed).toEqual([])
})

test('one check at a time, none for longer than any honest one takes, and none by who is no coordinator of ours', async () => {
  const measurer = new Hand()
  const node = bench({ measures: { measurer } })
  node.say(measure(), node.signer)
  node.say(measure())
  await asked(node, measurer, 1)
  node.say(measure())
  expect(await node.heard()).toMatchObject({ kind: 'busy' })
  await node.clock.advance(90_000)
  expect(await node.heard()).toMatchObject({ kind: 'busy' })
  expect(measurer.asked).toHaveLength(1)
})

/** Until it was asked so often; what it does on the way needs no time. */
async function asked(node: Bench, measurer: Hand, times: number): Promise<void> {
  for (let look = 0; measurer.asked.length < times; look++) {
    if (look > 100) throw new Error(`it was asked ${measurer.asked.length} times`)
    await node.clock.advance(0)
  }
}
