/** What draws, as the browser names it. */
export function rendererOf(drawing: WebGL2RenderingContext): string {
  // Without the extension a browser says its own name.
  const names = drawing.getExtension('WEBGL_debug_renderer_info')
  return String(drawing.getParameter(names?.UNMASKED_RENDERER_WEBGL ?? drawing.RENDERER))
}

/** Drawing in software: slower than WebAssembly. */
export function isSoftware(renderer: string): boolean {
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer)
}

/** A GPU's interface whose work the processor does. Chromium said it of the adapter itself before version 136. */
export function isFallback(adapter: GPUAdapter & { readonly isFallbackAdapter?: boolean }): boolean {
  return (adapter.info.isFallbackAdapter as boolean | undefined) ?? adapter.isFallbackAdapter ?? false
}
