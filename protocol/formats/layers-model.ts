import type { Architecture } from '../architecture.ts'
import type { Cid } from '../ids.ts'
import type { ModelManifest } from '../manifest.ts'
import { accept, type Result, refuse } from '../result.ts'
import { topologyOf } from '../topology/export.ts'
import { tensorBytes } from './weights-stream.ts'

/** As TF.js cuts them itself: what a browser keeps in its cache. */
const SHARD_BYTES = 4 * 1024 * 1024

export type Shard = { readonly path: string; readonly sizeBytes: number }

/**
 * A model.json that `tf.loadLayersModel` reads, and the files that the weights are cut into, in their order. What the model
 * gives are logits, as in training: its loss has the softmax or the sigmoid.
 */
export function layersModelOf(
  model: Cid,
  architecture: Architecture,
  tensors: ModelManifest['tensors'],
): Result<{ readonly json: string; readonly shards: readonly Shard[] }, 'no-counterpart'> {
  const topology = topologyOf(architecture)
  if (!topology.ok) return topology
  const causal = architecture.layers.find((layer) => layer.layer === 'conv1d' && layer.padding === 'causal')
  if (causal) return refuse('no-counterpart', `${causal.name} is causal, which Keras has and TF.js has not`)
  const shards = shardsOf(tensors.reduce((sum, { shape }) => sum + tensorBytes(shape), 0))
  const depthwise = new Set(
    architecture.layers.filter(({ layer }) => layer === 'depthwiseConv2d').map(({ name }) => `${name}/kernel`),
  )
  const weights = tensors.map(({ name, shape }) => ({
    name: depthwise.has(name) ? name.replace(/kernel$/, 'depthwise_kernel') : name,
    ...{ shape, dtype: 'float32' },
  }))
  const file = {
    modelTopology: topology.value,
    ...{ format: 'layers-model', generatedBy: 'consilium', convertedBy: null, userDefinedMetadata: { model } },
    weightsManifest: [{ paths: shards.map(({ path }) => path), weights }],
  }
  return accept({ json: JSON.stringify(file), shards })
}

function shardsOf(totalBytes: number): readonly Shard[] {
  const count = Math.max(1, Math.ceil(totalBytes / SHARD_BYTES))
  return Array.from({ length: count }, (_, index) => ({
    path: `group1-shard${index + 1}of${count}.bin`,
    sizeBytes: Math.min(SHARD_BYTES, totalBytes - index * SHARD_BYTES),
  }))
}
