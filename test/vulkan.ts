import { once } from 'node:events'
import { existsSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { SHARE_ENV, Worker } from 'node:worker_threads'
import { chromiumPath } from './chromium.ts'

/** A Vulkan driver that computes in software, with the loader that finds it. */
export type SoftwareVulkan = { readonly loader: string; readonly driver: string }

/** Chromium's SwiftShader, with the loader that Chromium or the system has. What the environment names comes before it. */
export function softwareVulkan(): SoftwareVulkan | undefined {
  if (process.env['VK_DRIVER_FILES'] || process.env['VK_ICD_FILENAMES']) return undefined
  const chromium = chromiumPath()
  const beside = chromium === undefined || !existsSync(chromium) ? [] : [dirname(realpathSync(chromium))]
  const folders = [...beside, '/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome']
  const folder = folders.find((each) => existsSync(join(each, 'vk_swiftshader_icd.json')))
  if (folder === undefined) return undefined
  const libraries = [folder, ...['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu`), '/usr/lib64']
  const loader = libraries.map((library) => join(library, 'libvulkan.so.1')).find((path) => existsSync(path))
  return loader === undefined ? undefined : { loader, driver: join(folder, 'vk_swiftshader_icd.json') }
}

/** What a process must be started with to find it. */
export function environmentOf({ loader, driver }: SoftwareVulkan): Readonly<Record<string, string>> {
  return { LD_LIBRARY_PATH: dirname(loader), VK_ICD_FILENAMES: driver }
}

/**
 * Has this process find it. The loader reads the environment that the process has, of which Jest gives a test a copy, and
 * is found under its name once it is loaded: the flag keeps it, though it is no addon of Node's.
 */
export async function useSoftwareVulkan({ loader, driver }: SoftwareVulkan): Promise<void> {
  const script = `
    process.env.VK_ICD_FILENAMES = ${JSON.stringify(driver)}
    try { process.dlopen({ exports: {} }, ${JSON.stringify(loader)}, ${constants.dlopen.RTLD_NOW | RTLD_NODELETE}) } catch {}
  `
  await once(new Worker(script, { eval: true, env: SHARE_ENV }), 'exit')
}

/** Linux's; Node does not name it. */
const RTLD_NODELETE = 0x1000
