import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import util from 'node:util'
import { backend } from '@tensorflow/tfjs-core'
import { type Candidate, type Started, Unavailable } from './choice.ts'

const VERSION = '4.22.0'

/** TensorFlow's own library on a GPU of NVIDIA's. */
export const cuda: Candidate = {
  name: 'cuda',
  async start() {
    const { usesGpu, version } = load('@tensorflow/tfjs-node-gpu')
    if (!usesGpu)
      throw new Unavailable(
        `TensorFlow ${version} finds no GPU`,
        'see whether nvidia-smi lists one, and whether CUDA and cuDNN of the release that this TensorFlow wants are in LD_LIBRARY_PATH',
      )
    return { ...started(`${gpuNames().join(', ') || 'a GPU'}, TensorFlow ${version}`), fix: WHOLE_FLOATS }
  },
}

/** TensorFlow's own library on the processor. */
export const node: Candidate = {
  name: 'node',
  async start() {
    const { usesGpu, version } = load('@tensorflow/tfjs-node')
    if (usesGpu)
      throw new Unavailable('TensorFlow computes on the GPU here', '--backend cuda, or CUDA_VISIBLE_DEVICES=-1')
    return started(`TensorFlow ${version}, ${availableParallelism()} threads`)
  },
}

/** From Ampere on these GPUs multiply by ten bits of a float, unless the process is started with this. */
const WHOLE_FLOATS = 'NVIDIA_TF32_OVERRIDE=0 in the environment of the process'

/** Threads add up as they come. */
function started(adapter: string): Started {
  return { registered: 'tensorflow', adapter, software: false, deterministic: false }
}

type Tensorflow = { readonly usesGpu: boolean; readonly version: string }
let loaded: Tensorflow | undefined

/**
 * Both packages register the same backend, so there is one of them in a thread: the one for a GPU where it is installed,
 * which computes on the processor where it finds none. TFJS_NODE names a folder in whose node_modules they are.
 *
 * @param wanted which to install when neither is there
 */
function load(wanted: string): Tensorflow {
  if (loaded) return loaded
  const folder = process.env['TFJS_NODE']
  const require = createRequire(folder === undefined ? import.meta.url : resolve(folder, 'package.json'))
  // Gone from Node 24, and called by their first operation.
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === undefined || value === null })
  let failure: string | undefined
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      require.resolve(name)
    } catch {
      continue
    }
    try {
      require(name)
      const { isUsingGpuDevice, binding } = backend() as unknown as NodeBackend
      loaded = { usesGpu: isUsingGpuDevice, version: binding.TF_Version }
      return loaded
    } catch (cause) {
      // Also where npm kept the package though its library could not be fetched, or was told to run no scripts.
      failure ??= `the package ${name} does not load: ${cause instanceof Error ? cause.message : cause}`.split(
        '\n',
        1,
      )[0]
    }
  }
  if (failure !== undefined) throw new Unavailable(failure, 'build it by tools/tfjs-node.mjs, see docs/backends.md')
  throw new Unavailable(
    `the package ${wanted} is not installed`,
    `npm install ${wanted}@${VERSION}, see docs/backends.md`,
  )
}

type NodeBackend = { readonly isUsingGpuDevice: boolean; readonly binding: { readonly TF_Version: string } }

/** As their driver names them. */
function gpuNames(): readonly string[] {
  try {
    const folder = '/proc/driver/nvidia/gpus'
    const texts = readdirSync(folder).map((gpu) => readFileSync(join(folder, gpu, 'information'), 'utf8'))
    return texts.flatMap((text) => /^Model:\s*(.+?)\s*$/m.exec(text)?.[1] ?? [])
  } catch {
    return []
  }
}
