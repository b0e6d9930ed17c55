import type { Architecture } from '#protocol/architecture.ts'
import type { Loss } from '#protocol/task.ts'
import { architectureOf } from '#protocol/topology/topology.ts'
import { TaskError } from './real.ts'

/**
 * A model that was built with Keras or TF.js, from its model.json, for `defineTask`. It reads JSON and runs nothing of it.
 * The one file of the SDK that needs other packages, so it is imported by itself.
 *
 * @param json its text, or what that says
 * @param note is told what is done otherwise than the file says
 * @param loss of the task: those of classes take logits, and a last softmax or sigmoid is left out; those of a number do not
 */
export function kerasModel(
  json: string | object,
  { note = () => undefined, loss }: { readonly note?: (text: string) => void; readonly loss?: Loss } = {},
): Architecture {
  const bytes = new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json))
  const topology = architectureOf(bytes, loss)
  if (!topology.ok) throw new TaskError(`${topology.refusal}: ${topology.detail ?? 'no more is known'}`)
  for (const text of topology.value.notes) note(text)
  return topology.value.architecture
}
