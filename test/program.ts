import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * A program that a test can do with and without: what the environment names, or the first on the PATH.
 *
 * @param variable of the environment @param names the ones that it goes by, the best first
 */
export function programAt(variable: string, ...names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return process.env[variable] ?? names.flatMap((name) => folders.map((folder) => join(folder, name))).find(runs)
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
