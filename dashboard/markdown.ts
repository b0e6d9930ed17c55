/** What our model cards are written in: a part of Markdown, read into a tree that can hold no HTML. */
export type Inline =
  | { readonly kind: 'text' | 'code'; readonly text: string }
  | { readonly kind: 'strong' | 'emphasis'; readonly of: readonly Inline[] }
  | { readonly kind: 'link'; readonly to: string; readonly of: readonly Inline[] }
export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly of: readonly Inline[] }
  | { readonly kind: 'paragraph'; readonly of: readonly Inline[] }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'list'; readonly ordered: boolean; readonly items: readonly (readonly Inline[])[] }
  | { readonly kind: 'table'; readonly head: readonly Row[]; readonly rows: readonly (readonly Row[])[] }
type Row = readonly Inline[]

export type Document = { readonly metadata: string; readonly blocks: readonly Block[] }

/** Longer than any card of ours; a hostile one is cut. */
const CHARS_MAX = 1_000_000

export function readMarkdown(source: string): Document {
  const text = source.slice(0, CHARS_MAX).replaceAll('\r\n', '\n')
  const front = /^---\n([\s\S]*?)\n---\n/.exec(text)
  const lines = text.slice(front?.[0].length ?? 0).split('\n')
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; ) {
    const [block, next] = blockAt(lines, at)
    if (block) blocks.push(block)
    at = next
  }
  return { metadata: front?.[1] ?? '', blocks }
}

const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/
const FENCE = /^\s*(```|~~~)/

function blockAt(lines: readonly string[], at: number): readonly [Block | undefined, number] {
  const line = lines[at] as string
  if (line.trim() === '') return [undefined, at + 1]
  const fence = FENCE.exec(line)
  if (fence) {
    const close = lines.findIndex((other, index) => index > at && other.trim().startsWith(fence[1] as string))
    const end = close < 0 ? lines.length : close
    return [{ kind: 'code', text: lines.slice(at + 1, end).join('\n') }, end + 1]
  }
  const heading = HEADING.exec(line)
  if (heading)
    return [{ kind: 'heading', level: (heading[1] as string).length, of: inline(heading[2] as string) }, at + 1]
  if (line.includes('|') && /^\s*\|?[\s:|-]+\|?\s*$/.test(lines[at + 1] ?? '') && lines[at + 1]?.includes('-')) {
    const end = until(lines, at + 2, (other) => !other.includes('|'))
    return [{ kind: 'table', head: cells(line), rows: lines.slice(at + 2, end).map(cells) }, end]
  }
  if (ITEM.test(line)) {
    const end = until(lines, at, (other) => !ITEM.test(other))
    const items = lines.slice(at, end).map((item) => inline(ITEM.exec(item)?.[2] ?? ''))
    return [{ kind: 'list', ordered: ITEM.exec(line)?.[1] !== undefined, items }, end]
  }
  const end = until(
    lines,
    at + 1,
    (other) => other.trim() === '' || HEADING.test(other) || FENCE.test(other) || ITEM.test(other),
  )
  return [{ kind: 'paragraph', of: inline(lines.slice(at, end).join(' ')) }, end]
}

function until(lines: readonly string[], from: number, ends: (line: string) => boolean): number {
  const found = lines.findIndex((line, index) => index >= from && ends(line))
  return found < 0 ? lines.length : found
}

function cells(line: string): readonly Row[] {
  const parts = line
    .trim()
    .replace(/^\|/, '')
    .replace(/\|$/, '')
    .split(/(?<!\\)\|/)
  return parts.map((part) => inline(part.trim().replaceAll('\\|', '|')))
}

const SPAN = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]*)\]\(([^()\s]*)\)/g

function inline(text: string): readonly Inline[] {
  const found: Inline[] = []
  let at = 0
  for (const match of text.matchAll(SPAN)) {
    if (match.index > at) found.push({ kind: 'text', text: text.slice(at, match.index) })
    at = match.index + match[0].length
    const [, code, strong, emphasis, label, to] = match
    if (code !== undefined) found.push({ kind: 'code', text: code })
    else if (strong !== undefined) found.push({ kind: 'strong', of: inline(strong) })
    else if (emphasis !== undefined) found.push({ kind: 'emphasis', of: inline(emphasis) })
    else if (isSafe(to ?? '')) found.push({ kind: 'link', to: to as string, of: [{ kind: 'text', text: label ?? '' }] })
    else found.push({ kind: 'text', text: label ?? '' })
  }
  if (at < text.length) found.push({ kind: 'text', text: text.slice(at) })
  return found
}

/** Anything else could be a script. */
function isSafe(to: string): boolean {
  return /^(https?:\/\/|\/(?!\/)|#)/.test(to)
}
