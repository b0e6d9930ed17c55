import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '#protocol/assert.ts'

/** This package as it lies on disk: a clone runs `cli/`, an installed package `dist/cli/`, both below its manifest. */
export function packageOf(): { readonly version: string; readonly bin: string } {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json')
    const manifest: { name?: string; version?: string } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
    if (manifest.name === 'consilium' && manifest.version !== undefined)
      return { version: manifest.version, bin: join(folder, 'cli/bin.js') }
  }
  assert(false, 'the command lies in its package')
}
