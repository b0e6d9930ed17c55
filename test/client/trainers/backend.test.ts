/**
 * Backends that no other suite has started.
 *
 * @jest-environment node
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, jest, test } from '@jest/globals'
import {
  backend,
  getKernel,
  type KernelConfig,
  matMul,
  registerKernel,
  type TensorInfo,
  tensor,
  unregisterKernel,
} from '@tensorflow/tfjs-core'
import { listBackends, openBackend } from '#client/trainers/backend.ts'
import { type Candidate, chooseBackend, Unavailable } from '#client/trainers/backends/choice.ts'
import { cpu } from '#client/trainers/backends/cpu.ts'
import { vulkanDrivers } from '#client/trainers/backends/dawn.ts'
import { wasm } from '#client/trainers/backends/wasm.ts'
import { temporaryFolder } from '#test/folder.ts'
import { backendsHere } from './backends.ts'

// Before any test has started wasm, which starts once.
test('a backend that does not start is passed over, with the reason', async () => {
  const { WebAssembly } = globalThis as { WebAssembly?: unknown }
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  Reflect.deleteProperty(globalThis, 'WebAssembly')
  try {
    const { name, passedOver } = await chooseBackend([wasm, cpu], 'auto')
    expect(name).toBe('cpu')
    expect(passedOver).toEqual([{ backend: 'wasm', reason: expect.stringMatching(/\w/) }])
    await expect(openBackend('wasm')).rejects.toThrow(/^no backend trains here: wasm: \w/)
  } finally {
    Object.assign(globalThis, { WebAssembly })
    warn.mockRestore()
  }
})

/** The plainest kernels, of which a pool fails on a larger image than the probe's. */
async function failsAfterProbe() {
  const started = await cpu.start(false)
  const kernel = getKernel('MaxPool', 'cpu') as KernelConfig
  unregisterKernel('MaxPool', 'cpu')
  registerKernel({
    ...kernel,
    kernelFunc(params) {
      if ((params.inputs['x']?.shape[1] ?? 0) > 3) throw new Error('the device is gone')
      return kernel.kernelFunc(params)
    },
  })
  const mend = () => {
    unregisterKernel('MaxPool', 'cpu')
    registerKernel(kernel)
  }
  return { started, mend }
}

describe('of the backends', () => {
  const gpu = (on: Candidate, end?: () => void): Candidate => ({
    name: 'webgpu',
    start: async () => ({ ...(await on.start(false)), adapter: 'a GPU', ...(end && { end }) }),
  })

  test('the first that trains right is taken, and those before it are named with the reason and what helps', async () => {
    const absent: Candidate = {
      name: 'cuda',
      start: () => Promise.reject(new Unavailable('there is no GPU', 'npm install one')),
    }
    const opened = await chooseBackend([absent, wasm, cpu], 'auto')
    expect(opened).toEqual({
      ...{ name: 'wasm', adapter: 'WebAssembly, one thread', software: false, deterministic: true },
      passedOver: [{ backend: 'cuda', reason: 'there is no GPU', fix: 'npm install one' }],
    })
  })

  test('one that is asked for is taken, or the reason is thrown', async () => {
    expect(await chooseBackend([wasm, cpu], 'cpu')).toMatchObject({ name: 'cpu', passedOver: [] })
    await expect(chooseBackend([cpu], 'webgl')).rejects.toThrow('no backend trains here: there is no webgl here')
  })

  test('one that was lost before is not tried again', async () => {
    expect(await chooseBackend([wasm, cpu], 'auto', { without: ['wasm'] })).toMatchObject({ name: 'cpu' })
  })

  test('a GPU that is slower than wasm is passed over with both speeds, given back, and still there to be asked for', async () => {
    const end = jest.fn()
    // The processor's plainest kernels in the place of a GPU that takes its time.
    const slow = gpu(cpu, end)
    const { name, passedOver } = await chooseBackend([slow, wasm, cpu], 'auto')
    expect(name).toBe('wasm')
    expect(passedOver).toEqual([
      { backend: 'webgpu', reason: expect.stringMatching(/^a GPU trains [\d,]+ rows\/s .* network, wasm [\d,]+$/) },
    ])
    expect(end).toHaveBeenCalledTimes(1)
    expect(await chooseBackend([slow, wasm, cpu], 'webgpu')).toMatchObject({ name: 'webgpu', passedOver: [] })
  })

  test('a GPU that fails while it is measured is passed over with the reason, and given back', async () => {
    const end = jest.fn()
    const failing: Candidate = {
      name: 'webgpu',
      async start() {
        const { started, mend } = await failsAfterProbe()
        return {
          ...started,
          end() {
            end()
            mend()
          },
        }
      },
    }
    const { name, passedOver } = await chooseBackend([failing, wasm, cpu], 'auto')
    expect(name).toBe('wasm')
    expect(passedOver).toEqual([{ backend: 'webgpu', reason: 'the device is gone' }])
    expect(end).toHaveBeenCalledTimes(1)
  })

  test('a GPU that is faster than wasm is taken', async () => {
    const slow: Candidate = { name: 'wasm', start: () => cpu.start(false) }
    const opened = await chooseBackend([gpu(wasm), slow], 'auto')
    expect(opened).toMatchObject({ name: 'webgpu', adapter: 'a GPU', passedOver: [{ backend: 'wasm' }] })
  })

  test('a list names each that this machine has, and why it has not the others', async () => {
    const { automatic, backends } = await listBackends()
    expect(backends.map((each) => ('reason' in each ? each.backend : each.name))).toEqual([
      ...['cuda', 'webgpu', 'node', 'wasm', 'cpu'],
    ])
    for (const each of backends) if ('reason' in each) expect(each.reason + each.fix).toMatch(/\w+ .*\w/)
    expect(backends.flatMap((each) => ('name' in each ? [each.name] : []))).toContain(automatic.name)
    expect(automatic.software).toBe(false)
  })

  test('one that differentiates wrongly is passed over', async () => {
    expect(await chooseBackend([wasm, cpu], 'auto')).toMatchObject({ name: 'wasm', passedOver: [] })
    unregisterKernel('MaxPoolGrad', 'wasm')
    registerKernel({
      kernelName: 'MaxPoolGrad',
      backendName: 'wasm',
      kernelFunc: ({ inputs, backend }) =>
        (backend as { makeOutput(...args: unknown[]): TensorInfo }).makeOutput(inputs['input']?.shape, 'float32'),
    })
    const { name, passedOver } = await chooseBackend([wasm, cpu], 'auto')
    expect(name).toBe('cpu')
    expect(passedOver).toEqual([{ backend: 'wasm', reason: 'its gradients are wrong' }])
  })
})

test('TensorFlow’s library is looked for in a folder that is named from where the process is', async () => {
  const before = process.env['TFJS_NODE']
  process.env['TFJS_NODE'] = join('no', 'such', 'folder')
  try {
    await expect(openBackend('cuda')).rejects.toThrow('cuda: the package @tensorflow/tfjs-node-gpu is not installed')
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.env, 'TFJS_NODE')
    else process.env['TFJS_NODE'] = before
  }
})

test('drivers of Vulkan are looked for where its loader does, and only where that is how it is done', async () => {
  await using folder = await temporaryFolder()
  const icd = join(folder.path, 'vulkan', 'icd.d')
  await mkdir(icd, { recursive: true })
  for (const name of ['gpu.json', 'notes.txt']) await writeFile(join(icd, name), '{}')
  const home = { HOME: '/nowhere', XDG_DATA_DIRS: folder.path }
  expect(await vulkanDrivers(home, 'linux')).toContain(join(icd, 'gpu.json'))
  expect(await vulkanDrivers(home, 'linux')).not.toContain(join(icd, 'notes.txt'))
  expect(await vulkanDrivers({ ...home, VK_ICD_FILENAMES: '/a.json:/b.json' }, 'linux')).toEqual(['/a.json', '/b.json'])
  expect(await vulkanDrivers(home, 'darwin')).toBeUndefined()
})

const onGpu = (await backendsHere('a GPU that is lost', ['webgpu'])).length > 0 ? test : test.skip

onGpu(
  'a software GPU is taken when it is asked for, and says that it is one; put aside for another it is not lost',
  async () => {
    const lost = jest.fn()
    expect(await openBackend('webgpu', { lost })).toMatchObject({
      ...{ name: 'webgpu', software: true, deterministic: false, adapter: expect.stringMatching(/\w/) },
    })
    const { device } = backend() as unknown as OnDevice
    const { promise, resolve } = Promise.withResolvers<string>()
    await openBackend('webgpu', { lost: resolve })
    await device.lost
    expect(lost).not.toHaveBeenCalled()
    // What it is told to do and cannot is as bad.
    const next = backend() as unknown as OnDevice
    next.device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE })
    expect(await promise).toMatch(/^the GPU refused a step: /)
  },
  180_000,
)

onGpu(
  'a GPU that is lost says so, and gives no numbers from then on',
  async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    await openBackend('webgpu', { lost: resolve })
    const { device } = backend() as unknown as OnDevice
    device.destroy()
    expect(await promise).toMatch(/^the GPU was lost: /)
    await expect(matMul(tensor([[1]]), tensor([[2]])).data()).rejects.toThrow()
  },
  180_000,
)

type OnDevice = { readonly device: GPUDevice }
