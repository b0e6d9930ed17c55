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
