import { memory } from '@tensorflow/tfjs-core'
import { NO_DATA } from '#client/data/dataset.ts'
import { inMemory } from '#client/data/source.ts'
import { Governor } from '#client/trainers/governor.ts'
import { openPupil } from '#client/trainers/pupil.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { dense } from './layer-examples.ts'
import { noise, someModel, trainingOf } from './tasks.ts'

/**
 * Bytes that the backend that is set holds, after each of so many tasks of about one size, whose tensors are all of another.
 * No tensor is left besides those that were there, as another suite's of this thread.
 */
export async function bytesHeld(tasks: number): Promise<readonly number[]> {
  const answer = openPupil(
    NO_DATA,
    async (path) => inMemory(path, tableOf(Number(path))),
    () => undefined,
    noQuestions,
  )
  const held: number[] = []
  const before = memory().numTensors
  for (let task = 0; task < tasks; task++) {
    const inputs = 40 + task
    const architecture: Architecture = {
      ...{ v: 1, input: [inputs], layers: [dense('a', 160 + task, 'relu'), dense('out', 4)] },
    }
    const training = trainingOf(architecture, 'softmax-cross-entropy', 4, { batchSize: 32 + task })
    const reply = await answer({
      ...{ kind: 'fit', model: someModel(architecture, 3), task: training },
      ...{ data: { kind: 'csv', path: String(inputs) }, words: new Governor(1).words },
    })
    if (reply.kind !== 'fitted') throw new Error(`a task came to: ${JSON.stringify(reply)}`)
    const { numTensors, ...gpu } = memory() as ReturnType<typeof memory> & OfGpu
    if (numTensors > before) throw new Error(`${numTensors - before} tensors were left`)
    held.push(gpu.numBytesAllocatedInGPU ?? gpu.numBytesInGPUAllocated ?? 0)
  }
  return held
}

type OfGpu = { readonly numBytesAllocatedInGPU?: number; readonly numBytesInGPUAllocated?: number }

function tableOf(inputs: number): Uint8Array<ArrayBuffer> {
  const next = noise(inputs)
  const line = (row: number) => [...Array.from({ length: inputs }, () => next().toFixed(3)), row % 4].join(',')
  const header = [...Array.from({ length: inputs }, (_, index) => `x${index}`), 'y'].join(',')
  return new TextEncoder().encode([header, ...Array.from({ length: 100 }, (_, row) => line(row))].join('\n'))
}

async function noQuestions(): Promise<never> {
  throw new Error('nobody asks')
}
