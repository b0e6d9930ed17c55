import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { LendFiles } from '#coordinator/api/lend.ts'

/**
 * The page at `/lend`. The package carries it as it is sent; a clone bundles it when it is first asked for, by the bundler
 * that is among its tools, so that what is served is always what the sources say.
 */
export function lendFiles(): () => Promise<LendFiles> {
  const isClone = extname(import.meta.url) === '.ts'
  let files: Promise<LendFiles> | undefined
  return () => {
    files ??= isClone ? bundled() : carried()
    files.catch(() => {
      files = undefined
    })
    return files
  }
}

async function bundled(): Promise<LendFiles> {
  const { buildLend } = (await import(new URL('../tools/lend.mjs', import.meta.url).href)) as {
    readonly buildLend: () => Promise<LendFiles>
  }
  return buildLend()
}

async function carried(): Promise<LendFiles> {
  const folder = join(import.meta.dirname, '../lend')
  const names = await readdir(folder)
  return new Map(
    await Promise.all(
      names.map(async (name) => [name.replace(/\.gz$/, ''), await readFile(join(folder, name))] as const),
    ),
  )
}
