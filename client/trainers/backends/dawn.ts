import { readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Candidate, Unavailable } from './choice.ts'
import { startWebGpu } from './webgpu.ts'

const PACKAGE = 'webgpu@0.6.2'

/** WebGPU in Node: Dawn, which the npm package `webgpu` brings, on Vulkan, Metal or Direct3D. */
export const dawn: Candidate = {
  name: 'webgpu',
  async start(asked) {
    const drivers = await vulkanDrivers()
    // Dawn would be loaded for nothing, and would complain on the console. Who asks for it knows better than the list.
    if (!asked && drivers?.length === 0) throw noAdapter(drivers)
    return startWebGpu(await load(), asked, () => noAdapter(drivers))
  },
}

let gpu: GPU | undefined

/** What a page has as globals. TF.js looks for `navigator.gpu`, and whatever holds on to it keeps its device alive. */
async function load(): Promise<GPU> {
  if (gpu) return gpu
  const { create, globals } = await import('webgpu').catch(notLoaded)
  for (const [name, value] of Object.entries(globals)) if (!(name in globalThis)) Reflect.set(globalThis, name, value)
  gpu = create([])
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true })
  return gpu
}

function notLoaded(cause: unknown): never {
  const { code, message } = cause as NodeJS.ErrnoException
  const install = `npm install ${PACKAGE}`
  if (code === 'ERR_MODULE_NOT_FOUND') throw new Unavailable('the package webgpu is not installed', install)
  // Its other releases are built for another libstdc++, or for another machine.
  throw new Unavailable(`the package webgpu does not load: ${message.split('\n', 1)}`, `${install}, or --backend wasm`)
}

function noAdapter(drivers: readonly string[] | undefined): Unavailable {
  if (drivers === undefined) return new Unavailable('Dawn finds no GPU', 'a driver for the GPU')
  if (drivers.length === 0)
    return new Unavailable(
      'no Vulkan driver is installed (there is no file in vulkan/icd.d)',
      "the GPU maker's driver, or mesa-vulkan-drivers",
    )
  return new Unavailable(
    `Dawn finds no GPU with the Vulkan drivers ${drivers.join(', ')}`,
    'see whether vulkaninfo lists it: libvulkan1 must be installed, the driver no older than Vulkan 1.1 (Mesa 25), and ' +
      'a container must be given the GPU',
  )
}

/**
 * Where Vulkan's loader looks for drivers, on Linux.
 * @returns the files that describe one; undefined on another system
 */
export async function vulkanDrivers(
  environment: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): Promise<readonly string[] | undefined> {
  if (platform !== 'linux') return undefined
  const list = (name: string, otherwise = '') =>
    (environment[name] || otherwise).split(delimiter).filter((path) => path !== '')
  const named = [...list('VK_DRIVER_FILES'), ...list('VK_ICD_FILENAMES'), ...list('VK_ADD_DRIVER_FILES')]
  if (named.length > 0) return named
  const home = environment['HOME'] || homedir()
  const roots = [
    ...list('XDG_CONFIG_HOME', join(home, '.config')),
    ...list('XDG_CONFIG_DIRS', '/etc/xdg'),
    ...['/etc', '/usr/local/etc', '/run/opengl-driver/share'],
    ...list('XDG_DATA_HOME', join(home, '.local', 'share')),
    ...list('XDG_DATA_DIRS', '/usr/local/share:/usr/share'),
  ]
  const folders = [...new Set(roots)].map((root) => join(root, 'vulkan', 'icd.d'))
  const found = folders.map(async (folder) => {
    const names = await readdir(folder).catch(() => [])
    return names.filter((name) => name.endsWith('.json')).map((name) => join(folder, name))
  })
  return (await Promise.all(found)).flat()
}
