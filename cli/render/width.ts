import { stripVTControlCharacters } from 'node:util'

/** Columns that a text takes: most characters one, those of East Asia and emoji two, marks over others none. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const character of text) width += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  return width
}

/** A line cut to so many columns, the cut shown; what others wrote cannot move the cursor. */
export function shorten(line: string, columns: number, ellipsis: string): string {
  const said = plain(line)
  if (widthOf(said) <= columns) return said
  let kept = ''
  let room = columns - ellipsis.length
  for (const character of said) {
    room -= widthOf(character)
    if (room < 0) break
    kept += character
  }
  return kept + ellipsis
}

/** Without what a terminal would obey. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, ' ')
}

/** The same of many lines: where they end they end, and what we paint stays painted. */
export function plainLines(text: string): string {
  return text
    .split(OURS)
    .map((part, index) => (index % 2 === 0 ? plain(part) : part))
    .join('')
}

const ESC = '\u001b'
/** What {@link Terminal.paint} writes, and the end of a line. */
const OURS = new RegExp(`(${ESC}\\[(?:[12]|22|3[1236]|39)m|\n)`)

const MARK = /^(\p{Mn}|\p{Me}|\p{Cf})$/u
const WIDE =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]$/u
