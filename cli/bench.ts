import type { BenchRule } from '#client/node.ts'
import { reasonOf } from '#client/progress.ts'
import type { Output } from './output.ts'
import { packageOf } from './package.ts'
import { speedFields, speedsText } from './render/capability.ts'

/** Tells what a node says of itself to its coordinator. */
export function benchTeller(output: Output): BenchRule {
  return {
    version: packageOf().version,
    report({ backend, adapter, speeds }) {
      if (output.json) output.object({ type: 'node.bench', backend, adapter, speeds: speedFields(speeds) })
      else if (!output.quiet) output.line(`bench        ${speedsText(speeds)}`)
    },
    failed: (cause) => output.note(`bench        ${reasonOf(cause)}`),
  }
}
