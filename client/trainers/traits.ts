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
