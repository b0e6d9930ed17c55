import type { Architecture } from '../architecture.ts'
import { once, utf8 } from '../bytes.ts'
import type { Bytes, Cid } from '../ids.ts'
import type { ModelManifest } from '../manifest.ts'
import { accept, type Result } from '../result.ts'
import { layersModelOf } from './layers-model.ts'
import { npyHeader } from './npy.ts'
import { safetensorsHeader } from './safetensors.ts'
import { tensorBytes, WeightsStream } from './weights-stream.ts'
import { type ZipEntry, zipOf } from './zip.ts'

/** How a model is handed over. `raw` is its weights file as it is addressed, float32 little-endian in the order of its tensors. */
export const MODEL_FORMATS = ['npz', 'safetensors', 'tfjs', 'raw'] as const
export type ModelFormat = (typeof MODEL_FORMATS)[number]

/** How each format's files end, and what they are on the web. */
export const FORMATS: Readonly<Record<ModelFormat, { readonly suffix: string; readonly mediaType: string }>> = {
  npz: { suffix: 'npz', mediaType: 'application/zip' },
  safetensors: { suffix: 'safetensors', mediaType: 'application/octet-stream' },
  tfjs: { suffix: 'tfjs.zip', mediaType: 'application/zip' },
  raw: { suffix: 'f32', mediaType: 'application/octet-stream' },
}

/** A model as it is addressed, and what is in its manifest. */
export type AddressedModel = {
  readonly cid: Cid
  readonly manifest: ModelManifest
  readonly architecture: Architecture
}

/**
 * A model as a file of this format, piece by piece as its weights come: one model is one file, whoever makes it, so that whoever
 * has checked the weights need not believe anybody's file.
 *
 * @param weights the weights file; it is read when the file is, and not where the model has no such file
 */
export function modelFile(
  format: ModelFormat,
  { cid, manifest, architecture }: AddressedModel,
  weights: AsyncIterable<Bytes>,
): Result<AsyncIterable<Bytes>, 'no-counterpart'> {
  const { tensors } = manifest
  switch (format) {
    case 'raw':
      return accept(weights)
    case 'safetensors':
      return accept(joined(safetensorsHeader(tensors, { model: cid, architecture: manifest.architecture }), weights))
    case 'npz':
      return accept(
        zipped(weights, (stream) =>
          tensors.map(({ name, shape }) => ({
            name: `${name}.npy`,
            content: joined(npyHeader(shape), stream.take(tensorBytes(shape))),
          })),
        ),
      )
    case 'tfjs': {
      const made = layersModelOf(cid, architecture, tensors)
      if (!made.ok) return made
      const { json, shards } = made.value
      return accept(
        zipped(weights, (stream) => [
          { name: 'model.json', content: once(utf8(json)) },
          ...shards.map(({ path, sizeBytes }) => ({ name: path, content: stream.take(sizeBytes) })),
        ]),
      )
    }
  }
}

async function* joined(first: Bytes, rest: AsyncIterable<Bytes>): AsyncIterable<Bytes> {
  yield first
  yield* rest
}

async function* zipped(
  weights: AsyncIterable<Bytes>,
  entriesOf: (stream: WeightsStream) => readonly ZipEntry[],
): AsyncIterable<Bytes> {
  await using stream = new WeightsStream(weights)
  yield* zipOf(entriesOf(stream))
  await stream.end()
}
