/** Texts from outside in documents of ours: they are read as they are, whatever they would mean there. */

/** Of no width, or that turn the order in which a line is read. */
const HIDDEN = /[\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu

/** One line of Markdown: every mark that CommonMark or GitHub gives a meaning stands for itself, so that it links to nothing. */
export function markdownText(text: string): string {
  return text
    .replace(HIDDEN, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .replace(/[!#$&(-+\-./:<-@[-`{-~]/g, '\\$&')
}

/** Paragraphs of it, which empty lines part. */
export function markdownParagraphs(text: string): string {
  return text
    .split(/(?:\r\n|\r|\n)\s*(?:\r\n|\r|\n)/)
    .map(markdownText)
    .filter((paragraph) => paragraph !== '')
    .join('\n\n')
}

/** A YAML scalar in double quotes: printable ASCII, and everything else by its number. */
export function yamlText(text: string): string {
  const quoted = text.replace(/["\\]/g, '\\$&').replace(/[^ -~]/gu, (mark) => {
    const point = mark.codePointAt(0) as number
    return point < 2 ** 16 ? `\\u${point.toString(16).padStart(4, '0')}` : `\\U${point.toString(16).padStart(8, '0')}`
  })
  return `"${quoted}"`
}

/** A YAML number, also to readers of YAML 1.1, to whom 1e-7 is a text. */
export function yamlNumber(value: number): string {
  return String(value).replace(/^(-?\d+)e/, '$1.0e')
}
