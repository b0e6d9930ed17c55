import { isSoftware, rendererOf } from '../trainers/backends/renderer.ts'

/** What this machine would train on, in the browser's words: the person is asked to lend something that has a name. */
export async function adapterName(): Promise<string> {
  const drawing = new OffscreenCanvas(1, 1).getContext('webgl2')
  const renderer = drawing ? rendererOf(drawing) : undefined
  const byWebGl = renderer === undefined || isSoftware(renderer) ? undefined : `${renderer}, by WebGL`
  return (await webGpuName()) ?? byWebGl ?? 'no graphics processor to pages: this machine’s own trains, by WebAssembly'
}

async function webGpuName(): Promise<string | undefined> {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' })
    if (!adapter || adapter.info.isFallbackAdapter) return undefined
    const { description, vendor, architecture, device } = adapter.info
    const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'an adapter without a name'
    return `${name}, by WebGPU`
  } catch {
    return undefined
  }
}
