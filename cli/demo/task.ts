import type { z } from 'zod'
import type { createRunSchema } from '#coordinator/api/schemas.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { toHex } from '#protocol/bytes.ts'
import { featuresOf } from '#protocol/features.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Layer } from '#protocol/layers.ts'
import type { Masking } from '#protocol/plan.ts'
import { demoTaskSeed } from '#protocol/seeds.ts'
import { classesOf, type Loss, outputsOf, type TableContract } from '#protocol/task.ts'
import { DIGIT_CLASSES, DIGIT_SIDE } from '../digits.ts'

/** What the demo asks of the API: the body of POST /v1/runs. */
export type LaunchRequest = z.input<typeof createRunSchema>

/** One credit. */
const BUDGET_MICRO = '1000000'

/** A small convolutional network: 5,994 parameters. */
export function digitsRun(nodes: number, rounds: number, seed: Bytes): LaunchRequest {
  const side = DIGIT_SIDE
  const conv = (name: string, filters: number): Layer => ({
    layer: 'conv2d',
    name,
    filters,
    kernel: [5, 5],
    strides: [1, 1],
    padding: 'valid',
    activation: 'relu',
  })
  const pool = (name: string): Layer => ({ layer: 'maxPooling2d', name, pool: [2, 2], strides: [2, 2] })
  const architecture: Architecture = {
    v: 1,
    input: [side, side, 1],
    layers: [
      ...[conv('conv1', 8), pool('pool1'), conv('conv2', 16), pool('pool2')],
      { layer: 'flatten', name: 'flatten' },
      { layer: 'dense', name: 'out', units: DIGIT_CLASSES, activation: 'linear' },
    ],
  }
  return {
    ...terms(nodes, rounds),
    task: {
      name: 'handwritten digits',
      seed: toHex(demoTaskSeed(seed)),
      architecture,
      data: { kind: 'image', height: side, width: side, channels: 1, classes: DIGIT_CLASSES, rowsMax: 10_000 },
      loss: 'softmax-cross-entropy',
      optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 900_000 },
      epochs: 2,
      batchSize: 32,
      clipNormMicro: 10_000_000,
    },
  }
}

/** A linear model: what a few hundred rows a site can carry. */
export function tableRun(contract: TableContract, nodes: number, rounds: number, seed: Bytes): LaunchRequest {
  const { label } = contract
  assert(label.rule !== 'number', 'a demo tells classes apart')
  const ofTwo = classesOf(contract) === 2 || label.rule === 'multi-label'
  const loss: Loss = ofTwo ? 'sigmoid-cross-entropy' : 'softmax-cross-entropy'
  const units = outputsOf(loss, contract)
  assert(units.ok, 'such a loss is of such labels')
  const what = label.rule === 'multi-label' ? `${label.labels.length} labels` : label.column
  return {
    ...terms(nodes, rounds),
    task: {
      name: `${what} from ${contract.columns.length} columns`.slice(0, 100),
      seed: toHex(demoTaskSeed(seed)),
      architecture: {
        v: 1,
        input: featuresOf(contract),
        layers: [{ layer: 'dense', name: 'out', units: units.value, activation: 'linear' }],
      },
      data: contract,
      loss,
      optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 900_000 },
      epochs: 4,
      batchSize: 16,
      clipNormMicro: 10_000_000,
      ...(ofTwo && { metrics: ['auroc'] }),
    },
  }
}

/** Two sites that see their sum see each other: masks are for three or more. */
export function maskingOf(nodes: number): Masking {
  return nodes < 3 ? 'none' : 'secagg/1'
}

/** One node may be lost in any round, where there are enough of them. Deadlines are for what hangs, not for what is slow. */
function terms(nodes: number, rounds: number): Omit<LaunchRequest, 'task'> {
  const masking = maskingOf(nodes)
  const least = Math.max(masking === 'none' ? 2 : 3, nodes - 1)
  return {
    rounds,
    budget: BUDGET_MICRO,
    population: 'open',
    masking,
    cohort: { min: least, max: nodes, quorum: least },
    timing: {
      selectionMillis: 120_000,
      keysMillis: 120_000,
      reportingMillis: 1_800_000,
      consistencyMillis: 120_000,
      unmaskingMillis: 120_000,
      aggregationMillis: 600_000,
      settlementMillis: 120_000,
    },
    failuresMax: 3,
    // Nobody is there who would resume it.
    onFailures: 'end',
  }
}
