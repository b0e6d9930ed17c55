import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { PageFiles } from '#coordinator/api/pages.ts'

/**
 * The page at `/lend`, or the dashboard. The package carries it as it is sent; a clone bundles it when it is first asked for,
 * by the bundler that is among its tools, so that what is served is always what the sources say.
 */
export function pageFiles(page: 'lend' | 'dashboard'): () => Promise<PageFiles> {
  const isClone = extname(import.meta.url) === '.ts'
  let files: Promise<PageFiles> | undefined
  return () => {
    files ??= isClone ? bundled(page) : carried(page)
    files.catch(() => {
      files = undefined
    })
    return files
  }
}

async function bundled(page: string): Promise<PageFiles> {
  const { buildPage } = (await import(new URL(`../tools/${page}.mjs`, import.meta.url).href)) as {
    readonly buildPage: () => Promise<PageFiles>
  }
  return buildPage()
}

async function carried(page: string): Promise<PageFiles> {
  const folder = join(import.meta.dirname, '..', page)
  const names = await readdir(folder)
  return new Map(
    await Promise.all(
      names.map(async (name) => [name.replace(/\.gz$/, ''), await readFile(join(folder, name))] as const),
    ),
  )
}
