import { isFallback, isSoftware, rendererOf } from '../trainers/backends/renderer.ts'

/** What this machine would train on, in the browser's words: the person is asked to lend something that has a name. */
export async function offeredHere(): Promise<string> {
  const drawing = new OffscreenCanvas(1, 1).getContext('webgl2')
  const renderer = drawing ? rendererOf(drawing) : undefined
  const byWebGl =
    renderer === undefined || isSoftware(renderer) ? undefined : `This browser offers ${renderer}, by WebGL.`
  return (
    (await byWebGpu()) ??
    byWebGl ??
    'This browser gives pages no graphics processor: the machine’s own processor would train, by WebAssembly.'
  )
}

async function byWebGpu(): Promise<string | undefined> {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' })
    if (!adapter || isFallback(adapter)) return undefined
    const { description, vendor, architecture, device } = adapter.info
    const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'an adapter without a name'
    return `This browser offers ${name}, by WebGPU.`
  } catch {
    return undefined
  }
}
