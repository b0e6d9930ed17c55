import type { BackendChoice, OpenBackend, PassedOver } from '#client/trainers/backends/choice.ts'
import type { BackendLoss } from '#client/trainers/trainer.ts'
import type { Arguments } from './arguments.ts'
import type { Output } from './output.ts'

/** `--backend`, of the commands that train. */
export function backendOf(args: Arguments): BackendChoice {
  return args.oneOf('backend', ['auto', 'cuda', 'webgpu', 'node', 'wasm', 'cpu'])
}

export function backendLines(backend: OpenBackend): readonly string[] {
  const { passedOver } = backend
  return [`backend      ${describeBackend(backend)}`, ...passedOver.map((other) => `passed over  ${why(other)}`)]
}

export function describeBackend({ name, adapter, software }: OpenBackend): string {
  return `${name}  ${adapter}${software ? ', in software: slower than wasm' : ''}`
}

/** Why it is not used, and what helps. */
export function why({ backend, reason, fix }: PassedOver): string {
  return `${backend}: ${reason}${fix === undefined ? '' : `. Fix: ${fix}`}`
}

export function backendFields({ name, adapter, software, deterministic, passedOver }: OpenBackend): object {
  return { backend: name, adapter, software, deterministic, passed_over: passedOver }
}

export function sayLoss(output: Output, { from, reason, to }: BackendLoss): void {
  if (output.json) output.object({ type: 'node.backend', lost: from, reason, ...backendFields(to) })
  else for (const line of [`${from} makes place: ${reason}`, ...backendLines(to)]) output.line(line)
}
