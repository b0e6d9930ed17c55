import { readFile, stat } from 'node:fs/promises'
import { encodeWeights } from '#aggregation/weights.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { PUBLIC_FILE_BYTES_MAX } from '#protocol/limits.ts'
import type { Loss } from '#protocol/task.ts'
import { TOPOLOGY_BYTES_MAX } from '#protocol/topology/json.ts'
import { architectureOf, type Topology } from '#protocol/topology/topology.ts'
import { weightsOf } from '#protocol/topology/weights.ts'
import type { Consilium } from '#sdk/client.ts'
import type { Arguments } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'

/**
 * Of a task, the architecture that a Keras or TF.js model has, and the weights that it starts from, which are kept at the
 * coordinator here.
 *
 * @param loss of the task, where it says one
 */
export async function givenModel(
  api: Consilium,
  args: Arguments,
  output: Output,
  loss: Loss | undefined,
): Promise<{ readonly architecture?: Architecture; readonly weights?: string }> {
  const [model, file] = [args.text('model'), args.text('weights')]
  const json = model === undefined ? undefined : await bounded(model, TOPOLOGY_BYTES_MAX)
  const topology = json && read(model as string, json, loss)
  for (const note of topology?.notes ?? []) output.note(note)
  const given = file === undefined ? undefined : await bounded(file, PUBLIC_FILE_BYTES_MAX)
  const weights = given && json && topology ? converted(file as string, topology, json, given) : given
  return {
    ...(topology && { architecture: topology.architecture }),
    ...(weights && { weights: (await api.tasks.keepFile(new Blob([weights]))).cid }),
  }
}

function read(file: string, json: Uint8Array, loss: Loss | undefined): Topology {
  const topology = architectureOf(json, loss)
  if (topology.ok) return topology.value
  throw new Failure(
    EXIT.usage,
    topology.refusal.replaceAll('-', '_'),
    `${file}: ${topology.detail ?? topology.refusal}`,
  )
}

function converted(file: string, topology: Topology, json: Uint8Array, given: Uint8Array): Uint8Array<ArrayBuffer> {
  const weights = weightsOf(topology, json, given)
  if (weights.ok) return encodeWeights(weights.value) as Uint8Array<ArrayBuffer>
  throw new Failure(EXIT.usage, weights.refusal.replaceAll('-', '_'), `${file}: ${weights.detail ?? weights.refusal}`)
}

async function bounded(file: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const { size } = await stat(file)
  if (size > bytesMax) throw new Failure(EXIT.usage, 'too_large', `${file} has ${size} bytes, at most ${bytesMax}`)
  return new Uint8Array(await readFile(file))
}
