/** What this machine would train on, in the browser's words: the person is asked to lend something that has a name. */
export async function adapterName(): Promise<string> {
  return (await webGpuName()) ?? webGlName() ?? 'this machine’s processor, by WebAssembly'
}

async function webGpuName(): Promise<string | undefined> {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' })
    if (!adapter) return undefined
    const { description, vendor, architecture, device, isFallbackAdapter } = adapter.info
    const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'an adapter without a name'
    return `${name}, by WebGPU${isFallbackAdapter ? ' (in software: used only if you choose it)' : ''}`
  } catch {
    return undefined
  }
}

function webGlName(): string | undefined {
  const drawing = new OffscreenCanvas(1, 1).getContext('webgl2')
  return drawing ? `${drawing.getParameter(drawing.RENDERER)}, by WebGL` : undefined
}
