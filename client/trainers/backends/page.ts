import { env } from '@tensorflow/tfjs-core'
import { type Candidate, type Loss, Unavailable } from './choice.ts'
import { cpu } from './cpu.ts'
import { isSoftware, rendererOf } from './renderer.ts'
import { wasm } from './wasm.ts'
import { startWebGpu } from './webgpu.ts'

/** What trains in a page, fastest first. @param binary where TF.js's WebAssembly lies */
export function pageCandidates(binary: string): readonly Candidate[] {
  return [webgpu, webgl, { ...wasm, start: (asked) => startWasm(binary, asked) }, cpu]
}

const webgpu: Candidate = {
  name: 'webgpu',
  async start(asked) {
    const none = () => new Unavailable('this browser gives pages no GPU', 'hardware acceleration, in its settings')
    if (!navigator.gpu) throw none()
    return startWebGpu(navigator.gpu, asked, none)
  },
}

const webgl: Candidate = {
  name: 'webgl',
  async start(asked) {
    // Of our own, so that its loss is seen.
    const canvas = new OffscreenCanvas(1, 1)
    const drawing = canvas.getContext('webgl2', CONTEXT)
    if (!drawing)
      throw new Unavailable('this browser draws nothing for pages', 'hardware acceleration, in its settings')
    const adapter = rendererOf(drawing)
    const software = isSoftware(adapter)
    if (software && !asked) throw new Unavailable(`${adapter} computes in software, which is slower than wasm`)
    const { setWebGLContext } = await import('@tensorflow/tfjs-backend-webgl')
    setWebGLContext(2, drawing)
    // Else TF.js lays matrices out in squares of two by two. Beyond an odd side these hold whatever the last operation made
    // of nothing, such as e⁰, and its product of matrices adds that up.
    env().set('WEBGL_PACK', false)
    // Where it cannot, TF.js computes by half of them, which is too coarse to learn by, and says nothing.
    if (!env().getBool('WEBGL_RENDER_FLOAT32_ENABLED'))
      throw new Unavailable(`${adapter} draws no floats of 32 bits`, "the GPU's current driver, or WebAssembly")
    const { promise: lost, resolve: lose } = Promise.withResolvers<Loss>()
    const gone = () => lose({ reason: 'the GPU was lost', refused: false })
    canvas.addEventListener('webglcontextlost', gone, { once: true })
    const check = () => {
      // TF.js does not ask, and reckons with zeros where there was no room for a tensor.
      const error = drawing.getError()
      if (error === drawing.CONTEXT_LOST_WEBGL) gone()
      else if (error !== drawing.NO_ERROR)
        lose({
          reason: `the GPU refused a step: ${error === drawing.OUT_OF_MEMORY ? 'out of memory' : `error ${error}`}`,
          refused: true,
        })
    }
    return { registered: 'webgl', adapter, software, deterministic: false, lost, check }
  },
}

/** As TF.js makes it: nothing is ever drawn. */
const CONTEXT = {
  ...{ alpha: false, antialias: false, premultipliedAlpha: false, preserveDrawingBuffer: false },
  ...{ depth: false, stencil: false, failIfMajorPerformanceCaveat: false, powerPreference: 'high-performance' },
} as const

async function startWasm(binary: string, asked: boolean): ReturnType<Candidate['start']> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm')
  // Its threads start from a blob of script, which the page's policy does not let it; training takes one core.
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
  // Whichever it asks for is the one with SIMD, without which our kernels would not run either.
  setWasmPaths(Object.fromEntries(BINARIES.map((name) => [name, binary])))
  return wasm.start(asked)
}

const BINARIES = ['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-simd.wasm', 'tfjs-backend-wasm-threaded-simd.wasm']
