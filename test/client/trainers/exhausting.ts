import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { someModel, trainingOf } from './tasks.ts'

/**
 * Run as a process of its own, in which WebAssembly may have little memory: a small fit, one that takes more than there is, and
 * the small one again. Says what came of each.
 */
export type Exhausted = readonly (readonly [name: string, outcome: string])[]

const [rows, side] = [512, 28]
const images = {
  sides: [rows, side, side],
  bytes: new Uint8Array(rows * side * side).map((_, at) => (at * 7919) % 256),
}
const labels = { sides: [rows], bytes: new Uint8Array(rows).map((_, row) => row % 10) }
const data = { kind: 'image', height: side, width: side, channels: 1, classes: 10, rowsMax: rows } as const

function networkOf(...widths: readonly number[]): Architecture {
  const hidden = widths.map((units, at) => ({ layer: 'dense', name: `d${at}`, units, activation: 'relu' }) as const)
  const out = { layer: 'dense', name: 'out', units: 10, activation: 'linear' } as const
  return { v: 1, input: [side, side, 1], layers: [{ layer: 'flatten', name: 'f' }, ...hidden, out] }
}

await using trainer = await openTfjsTrainer({
  data: { kind: 'rows', images, labels, rows: [...labels.bytes.keys()] },
  backend: 'wasm',
})
const told: [string, string][] = []
const train = async (name: string, architecture: Architecture) => {
  const task = trainingOf(architecture, 'softmax-cross-entropy', 10, { epochs: 1, batchSize: rows, data })
  const model = someModel(architecture, 3).map((weight) => weight * 0.05)
  const { delta } = await trainer.fit(model, task, new AbortController().signal)
  told.push([name, [...delta.subarray(0, 8), delta.length].join(' ')])
}
await train('small', networkOf())
await train('large', networkOf(2048, 2048)).catch((cause: unknown) => told.push(['large', String(cause)]))
await train('small again', networkOf())
process.stdout.write(JSON.stringify(told satisfies Exhausted))
