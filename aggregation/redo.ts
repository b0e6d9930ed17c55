import { assert } from '#protocol/assert.ts'
import type { Purpose, Quantiser } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { StrategySpec } from '#protocol/task.ts'
import { dequantise, type Figured } from './quantise.ts'
import type { RangeRefusal } from './ranges.ts'
import { strategyOf } from './strategies/strategy.ts'
import { lanesOf, type Payload, payloadIn, type RingVector, widthOf } from './vector.ts'

type NextModel = Figured & { readonly model: Float32Array; readonly memory: Float32Array }
type RedoRefusal = RangeRefusal | 'wrong-length'

/**
 * What a round's sum makes of its model. The coordinator does it once and every verifier does it again with this same
 * function, so that they cannot disagree. An evaluate round leaves model and memory as they are.
 */
export function nextModel(round: {
  /** Of every lane, over the seats that reported. */
  readonly sum: RingVector
  readonly purpose: Purpose
  readonly model: Float32Array
  /** Of an update: of the model's weights the first, which it moves, and the task's scores. The other weights are frozen. */
  readonly payload: Payload
  /** The strategy's; empty before round 1 means zeros. */
  readonly memory: Float32Array
  readonly quantiser: Quantiser
  readonly strategy: StrategySpec
}): Result<NextModel, RedoRefusal> {
  const { model, sum } = round
  const { parameters: trained } = round.payload
  assert(trained <= model.length, 'what is trained is a part of the model')
  const payload = payloadIn(round.purpose, round.payload)
  const lanes = lanesOf(widthOf(payload))
  if (sum.length !== lanes) return refuse('wrong-length', `${sum.length} lanes, the model's updates have ${lanes}`)
  const mean = dequantise(sum, payload, round.quantiser)
  if (!mean.ok) return mean
  const { reports, weight, evaluation } = mean.value
  if (round.purpose === 'evaluate') return accept({ model, memory: round.memory, evaluation, reports, weight })
  const strategy = strategyOf(round.strategy)
  const memoryLength = strategy.memoryLength(trained)
  const memory = round.memory.length === 0 ? new Float32Array(memoryLength) : round.memory
  if (memory.length !== memoryLength)
    return refuse(
      'wrong-length',
      `the memory has ${memory.length} values, ${round.strategy.kind} keeps ${memoryLength}`,
    )
  const next = strategy.apply(model.subarray(0, trained), mean.value.mean, memory)
  assert(next.model.length === trained, 'a strategy keeps the shape of the model')
  assert(next.model.every(Number.isFinite), 'a bounded mean keeps a finite model finite')
  return accept({ ...next, model: withFrozen(next.model, model), evaluation, reports, weight })
}

function withFrozen(trained: Float32Array, model: Float32Array): Float32Array {
  if (trained.length === model.length) return trained
  const whole = new Float32Array(model)
  whole.set(trained)
  return whole
}
