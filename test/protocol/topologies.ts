import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { type io, tensor } from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { buildNetwork } from '#client/trainers/network.ts'
import { utf8 } from '#protocol/bytes.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { architectureOf, type Topology } from '#protocol/topology/topology.ts'
import { weightsOf } from '#protocol/topology/weights.ts'

/** Topologies as Keras writes them, and models that were read from such. */
export const bytesOf = (json: unknown) => utf8(JSON.stringify(json))

export const layer = (class_name: string, config: object, more: object = {}) => ({
  ...{ class_name, config: { name: 'odd', batch_input_shape: [null, 4, 4, 2], ...config } },
  ...more,
})
export const sequential = (...all: readonly object[]) => ({
  class_name: 'Sequential',
  config: { name: 's', layers: all },
})
export const dense = (config: object) =>
  sequential({
    class_name: 'Dense',
    config: { name: 'odd', batch_input_shape: [null, 4], units: 3, activation: 'linear', ...config },
  })
export const input = {
  class_name: 'InputLayer',
  name: 'in',
  config: { batch_input_shape: [null, 4] },
  inbound_nodes: [],
}
export const graph = (...all: readonly object[]) => ({
  class_name: 'Functional',
  config: { layers: [input, ...all], input_layers: [['in', 0, 0]], output_layers: [['odd', 0, 0]] },
})
export const used = (...nodes: readonly unknown[]) => ({
  ...{ class_name: 'Dense', name: 'odd', config: { units: 3, activation: 'linear' }, inbound_nodes: nodes },
})
export const conv = { filters: 2, kernel_size: [2, 2], strides: [1, 1], padding: 'valid' }

/** As TF.js keeps it. */
export async function savedOf(model: LayersModel): Promise<{ readonly json: Uint8Array; readonly file: Uint8Array }> {
  let saved: io.ModelArtifacts | undefined
  await model.save({
    save: async (artifacts) => {
      saved = artifacts
      return { modelArtifactsInfo: {} } as never
    },
  })
  const json = bytesOf({
    modelTopology: saved?.modelTopology,
    weightsManifest: [{ paths: ['https://nobody.example/1.bin'], weights: saved?.weightSpecs }],
  })
  return { json, file: new Uint8Array(saved?.weightData as ArrayBuffer) }
}

/** What the model that was read gives for these rows. */
export function answersOf(topology: Topology, json: Uint8Array, file: Uint8Array, rows: Float32Array): number[] {
  const weights = weightsOf(topology, json, file)
  if (!weights.ok) throw new Error(`${weights.refusal}: ${weights.detail}`)
  const ours = buildNetwork(topology.architecture)
  ours.write(weights.value)
  const { input } = topology.architecture
  const found = ours.predict(tensor(rows, [rows.length / sizeOf({ shape: input }), ...input]))
  ours.dispose()
  return [...found.dataSync()]
}

export function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length)
  for (const [at, value] of found.entries()) expect(value).toBeCloseTo(expected[at] as number, 5)
}

/** What Keras itself wrote, and what it answers: see keras_models.py. */
type Kept = {
  readonly model: { readonly modelTopology: object; readonly weightsManifest: object }
  readonly weights: string
  readonly input: readonly number[]
  readonly output: readonly number[]
}

/** By their names, which hold one of these words. */
export function keptOf(...words: readonly string[]): readonly (readonly [string, Kept])[] {
  const all: Readonly<Record<string, Kept>> = JSON.parse(
    readFileSync(join(import.meta.dirname, 'keras-models.json'), 'utf8'),
  )
  return Object.entries(all).filter(([name]) => words.some((word) => name.includes(word)))
}

/** Ours gives the logits of what the model there answers. */
export function expectAnswers({ model, weights, input, output }: Kept): Topology {
  const json = bytesOf(model)
  const topology = architectureOf(json)
  if (!topology.ok) throw new Error(`${topology.refusal}: ${topology.detail}`)
  const file = Uint8Array.from(Buffer.from(weights, 'base64'))
  const logits = answersOf(topology.value, json, file, Float32Array.from(input))
  expectClose(
    logits.map((z) => 1 / (1 + Math.exp(-z))),
    output,
  )
  return topology.value
}
