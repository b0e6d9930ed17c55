import { openBackend } from '#client/trainers/backend.ts'
import type { BackendName } from '#client/trainers/backends/choice.ts'
import { softwareVulkan, useSoftwareVulkan } from '#test/vulkan.ts'

const ALL = ['cuda', 'webgpu', 'node', 'wasm', 'cpu'] as const

/** The backends that train on this machine, in software too. What is skipped for want of another is said with the reason. */
export async function backendsHere(what: string, names: readonly BackendName[] = ALL): Promise<readonly BackendName[]> {
  const vulkan = softwareVulkan()
  if (vulkan) await useSoftwareVulkan(vulkan)
  const here: BackendName[] = []
  for (const name of names) {
    const failure = await openBackend(name).then(
      () => undefined,
      (cause: unknown) => String(cause),
    )
    if (failure === undefined) here.push(name)
    // Not by the console: of a file in which everything is skipped, Jest does not show what that said.
    else process.stderr.write(`skipped: ${what} on ${name}, since ${failure}\n`)
  }
  return here
}
