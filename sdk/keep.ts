export type Kept = { readonly folder: string; readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }

type Files = {
  readonly mkdir: (path: string, options: { readonly recursive: true }) => Promise<unknown>
  readonly writeFile: (path: string, bytes: Uint8Array) => Promise<void>
  readonly rename: (from: string, to: string) => Promise<void>
}
type Host = { readonly process?: { readonly getBuiltinModule?: (name: string) => unknown } }

/**
 * Whole, or not at all: whoever looks before it is there finds what was there before. Files are asked of the process that
 * there is, so that nobody who makes a page of this is sent for a module of Node's.
 */
export async function keepFile({ folder, name, bytes }: Kept): Promise<string> {
  const files = (globalThis as Host).process?.getBuiltinModule?.('node:fs/promises') as Files | undefined
  if (!files) throw new TypeError('there are no files here: take the bytes, and keep them where you can')
  const path = `${folder}/${name}`
  await files.mkdir(folder, { recursive: true })
  await files.writeFile(`${path}.part`, bytes)
  await files.rename(`${path}.part`, path)
  return path
}
