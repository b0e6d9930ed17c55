import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core'
import { assert } from '#protocol/assert.ts'
import { instantiate, type Kernels, type Memory } from './wasm.ts'

/** TF.js's memory as our kernels see it: tensors are addresses in it, and results are tensors made in it. */
export type Heap = {
  readonly kernels: Kernels
  /** Where a tensor's first float lies, until the next allocation moves nothing but views. */
  address(tensor: TensorInfo): number
  /** How many numbers a tensor holds. */
  size(tensor: TensorInfo): number
  /** A new float32 tensor; `filled` with zeros, or with whatever lay there. */
  tensor(shape: readonly number[], filled: 'zeros' | 'anything'): TensorInfo
  free(tensor: TensorInfo): void
  /** The whole memory as floats, valid until the next allocation. */
  floats(): Float32Array
  /** A tensor's part of it. */
  view(tensor: TensorInfo): Float32Array
}

const heaps = new WeakMap<BackendWasm, Heap>()

export function heapOf(backend: unknown): Heap {
  const wasm = backend as BackendWasm
  const known = heaps.get(wasm)
  if (known) return known
  const module = wasm.wasm as unknown as Module
  assert(module.asm?.memory, 'the wasm backend of TF.js 4.22 exports its memory')
  const { memory } = module.asm
  checkAllocations(module)
  const floats = () => new Float32Array(memory.buffer)
  const address = (tensor: TensorInfo) => {
    const data = wasm.dataIdMap.get(tensor.dataId)
    assert(data, 'a kernel is given tensors of its own backend')
    assert(data.memoryOffset !== 0, 'nothing lies at address 0')
    return data.memoryOffset
  }
  const heap: Heap = {
    kernels: instantiate(memory),
    address,
    size: ({ shape }) => util.sizeFromShape(shape),
    tensor(shape, filled) {
      const made = wasm.makeOutput([...shape], 'float32' satisfies DataType)
      if (filled === 'zeros') {
        const from = address(made) / 4
        floats().fill(0, from, from + util.sizeFromShape(made.shape))
      }
      return made
    },
    view: (tensor) => new Float32Array(memory.buffer, address(tensor), util.sizeFromShape(tensor.shape)),
    free: (tensor) => void wasm.disposeData(tensor.dataId),
    floats,
  }
  heaps.set(wasm, heap)
  return heap
}

/** What we use of the module that emscripten made. */
type Module = { readonly asm?: { readonly memory?: Memory }; _malloc: (bytes: number) => number }

/**
 * Where no memory is left malloc answers 0, and TF.js would write to that address, over what the module itself lives on. By
 * then malloc was called: its first call puts another function in this place.
 */
function checkAllocations(module: Module): void {
  const stock = module._malloc
  module._malloc = (bytes) => {
    const address = stock(bytes)
    if (address === 0 && bytes > 0) throw new Error(noRoom(bytes))
    return address
  }
}

function noRoom(bytes: number): string {
  const mebibytes = Math.ceil(bytes / 1024 ** 2)
  return `WebAssembly has no room for ${mebibytes} MiB more: this task takes more memory than this machine gives; --max-memory declines such tasks`
}
