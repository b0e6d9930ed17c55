import { NAME_CHARS_MAX } from '#protocol/limits.ts'
import type { Traits } from '../measuring.ts'
import type { OpenBackend } from './backends/choice.ts'

/** What trains, in words that a report may have: a driver writes what it likes. */
export function traitsOf({
  name,
  adapter,
  software,
  deterministic,
}: OpenBackend): Pick<Traits, 'backend' | 'adapter' | 'software' | 'deterministic'> {
  const printable = adapter.replace(/[^ -~]/g, '?').slice(0, NAME_CHARS_MAX)
  return { backend: name, adapter: printable, software, deterministic }
}

/** WebAssembly's addresses have 32 bits. */
const WASM_BYTES_MAX = 4 * 1024 ** 3

/** What one task may take. @param bytesMax as the site lets it */
export function memoryOn(backend: string, bytesMax: number): number {
  return backend === 'wasm' ? Math.min(bytesMax, WASM_BYTES_MAX) : bytesMax
}
