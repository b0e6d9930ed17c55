import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Capability, capabilitySchema, type MeasuredSpeed } from '#protocol/capability.ts'
import { isOfSame, type Traits } from './measuring.ts'

/** What a node has measured of itself: lost, it is measured again. */
export function benchFile(state: string): {
  readonly kept: (traits: Traits) => Promise<readonly MeasuredSpeed[]>
  readonly keep: (capability: Capability) => Promise<void>
} {
  const path = join(state, 'bench.json')
  return {
    async kept(traits) {
      const text = await readFile(path, 'utf8').catch(() => '{}')
      const read = capabilitySchema.safeParse(parseJson(text))
      return read.success && isOfSame(read.data, traits) ? read.data.speeds : []
    },
    async keep(capability) {
      await writeFile(`${path}.new`, `${JSON.stringify(capability)}\n`, { mode: 0o600 })
      await rename(`${path}.new`, path)
    },
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
