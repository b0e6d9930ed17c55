import { afterEach, expect, test } from '@jest/globals'
import { offeredHere } from '#client/lend/adapter.ts'
import { Unavailable } from '#client/trainers/backends/choice.ts'
import { startWebGpu } from '#client/trainers/backends/webgpu.ts'

const none = () => new Unavailable('no GPU')
const device = {
  ...{ lost: new Promise(() => {}), features: new Set(), limits: {}, queue: {} },
  ...{ addEventListener: () => undefined, destroy: () => undefined },
}

/** Adapters as browsers give them. @param of the adapter itself @param info about it */
function gpuOf(of: object, info: object): GPU {
  const adapter = {
    limits: {},
    requestDevice: async () => device,
    ...of,
    info: { vendor: 'x', architecture: 'y', ...info },
  }
  return { requestAdapter: async () => adapter } as unknown as GPU
}

const software = {
  'Chromium 127 to 135': gpuOf({ isFallbackAdapter: true }, {}),
  'later ones': gpuOf({}, { isFallbackAdapter: true }),
}
const hardware = {
  'Chromium 127 to 135': gpuOf({ isFallbackAdapter: false }, {}),
  'later ones': gpuOf({}, { isFallbackAdapter: false }),
  'browsers that do not tell': gpuOf({}, {}),
}

const { navigator } = globalThis
afterEach(() => {
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true })
  Reflect.deleteProperty(globalThis, 'OffscreenCanvas')
})

async function offeredBy(gpu: GPU): Promise<string> {
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true })
  Reflect.set(
    globalThis,
    'OffscreenCanvas',
    class {
      getContext = () => null
    },
  )
  return offeredHere()
}

test.each(Object.entries(software))('software is taken for no GPU, as %s tell it', async (_, gpu) => {
  await expect(startWebGpu(gpu, false, none)).rejects.toThrow('x y computes in software, which is slower than wasm')
  expect(await startWebGpu(gpu, true, none)).toMatchObject({ software: true })
  expect(await offeredBy(gpu)).toMatch(/^This browser gives pages no graphics processor/)
})

test.each(Object.entries(hardware))('a GPU is one, and a report says so, as %s tell it', async (_, gpu) => {
  expect(await startWebGpu(gpu, false, none)).toMatchObject({ software: false, adapter: 'x y' })
  expect(await offeredBy(gpu)).toBe('This browser offers x y, by WebGPU.')
})
