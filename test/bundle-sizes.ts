import { gzipSync } from 'node:zlib'

/** Of esbuild's result, what is looked at. */
export type Bundled = {
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[]
  readonly metafile: {
    readonly outputs: Readonly<
      Record<
        string,
        {
          readonly entryPoint?: string
          readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[]
          readonly inputs: Readonly<Record<string, unknown>>
        }
      >
    >
  }
}

/** The scripts of a page by the names that the bundler's record gives them, each as it is sent. */
export function gzippedSizes({ outputFiles }: Bundled): ReadonlyMap<string, number> {
  const scripts = outputFiles.filter(({ path }) => path.endsWith('.js'))
  return new Map(
    scripts.map(({ path, contents }) => [
      `page/${path.split(/[\\/]/).at(-1)}`,
      gzipSync(contents, { level: 9 }).length,
    ]),
  )
}

/** What these load at once: themselves, and what they import in turn. */
export function firstLoad({ metafile }: Bundled, ...entries: readonly string[]): ReadonlySet<string> {
  const loaded = new Set(
    entries.map((entry) => {
      const found = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === entry)
      if (!found) throw new Error(`nothing is loaded for ${entry}`)
      return found[0]
    }),
  )
  for (const path of loaded)
    for (const imported of metafile.outputs[path]?.imports ?? [])
      if (imported.kind === 'import-statement' && !imported.external) loaded.add(imported.path)
  return loaded
}
