/** A meter of `width` cells, brackets not counted in Unicode, where none are needed. @param share 0 … 1 */
export function bar(share: number, width: number, unicode: boolean): string {
  const cells = Math.max(0, Math.min(1, share)) * width
  const full = Math.floor(cells)
  if (!unicode) return `[${'#'.repeat(full)}${'-'.repeat(width - full)}]`
  const part = full < width ? EIGHTHS[Math.floor((cells - full) * 8)] : ''
  return `${'█'.repeat(full)}${part}${'░'.repeat(width - full - (part ? 1 : 0))}`
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const
