import { expect, jest, test } from '@jest/globals'
import { registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'

test('a backend that does not start is passed over, with the reason', async () => {
  const { WebAssembly } = globalThis as { WebAssembly?: unknown }
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  Reflect.deleteProperty(globalThis, 'WebAssembly')
  try {
    const { name, passedOver } = await openBackend('auto')
    expect(name).toBe('cpu')
    expect(passedOver).toEqual([{ backend: 'wasm', reason: expect.stringMatching(/\w/) }])
    await expect(openBackend('wasm')).rejects.toThrow(/^no backend trains here: wasm: \w/)
  } finally {
    Object.assign(globalThis, { WebAssembly })
    warn.mockRestore()
  }
})

test('the fastest backend that trains right is taken, and one that differentiates wrongly is passed over', async () => {
  expect(await openBackend('auto')).toEqual({ name: 'wasm', passedOver: [] })
  unregisterKernel('MaxPoolGrad', 'wasm')
  registerKernel({
    kernelName: 'MaxPoolGrad',
    backendName: 'wasm',
    kernelFunc: ({ inputs, backend }) =>
      (backend as { makeOutput(...args: unknown[]): TensorInfo }).makeOutput(inputs['input']?.shape, 'float32'),
  })
  const { name, passedOver } = await openBackend('auto')
  expect(name).toBe('cpu')
  expect(passedOver).toEqual([{ backend: 'wasm', reason: 'its gradients are wrong' }])
})
