import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The vectors of these names as their files hold them. */
export function published(names: readonly string[]): Readonly<Record<string, unknown>> {
  const read = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8'))
  return Object.fromEntries(names.map((name) => [name, read(name)]))
}
