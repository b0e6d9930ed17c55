/** A curve of so many lines of text, drawn in dots of Braille, or in ASCII. */
export type Curve = { readonly name: string; readonly values: readonly (number | null | undefined)[] }
export type CurveSize = { readonly columns: number; readonly lines: number; readonly unicode: boolean }

/**
 * A value after another from left to right, its scale before it and its name before that. What is not known is passed over
 * by a straight line. Empty where there are fewer than two values, or no room.
 */
export function curveLines({ name, values }: Curve, { columns, lines, unicode }: CurveSize): readonly string[] {
  const points = values.flatMap((value, at) =>
    typeof value === 'number' && Number.isFinite(value) ? [{ at, value }] : [],
  )
  const first = points[0]
  const last = points.at(-1)
  if (!first || !last || points.length < 2) return []
  const [low, high] = bounds(points.map(({ value }) => value))
  const [top, bottom] = [labelOf(high), labelOf(low)]
  const labels = Math.max(top.length, bottom.length)
  const width = columns - name.length - labels - 3
  if (width < 2) return []
  const across = unicode ? 2 * width : width
  const down = (unicode ? 4 : ASCII.length) * lines
  const levels = Array.from({ length: across }, (_, column) => {
    const at = first.at + ((last.at - first.at) * column) / (across - 1)
    const share = high > low ? (valueAt(points, at) - low) / (high - low) : 0.5
    return Math.round(share * (down - 1))
  })
  const drawn = unicode ? braille(levels, lines) : ascii(levels, lines)
  return drawn.map((line, index) => {
    const label = index === 0 ? top : index === lines - 1 ? bottom : ''
    const head = (index === 0 ? name : '').padEnd(name.length)
    return `${head} ${label.padStart(labels)} ${unicode ? '│' : '|'}${line}`.trimEnd()
  })
}

type Point = { readonly at: number; readonly value: number }

function bounds(values: readonly number[]): readonly [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return [low, high]
}

function labelOf(value: number): string {
  return Math.abs(value) < 1000 ? value.toFixed(4) : value.toExponential(2)
}

/** On the line between its neighbours. */
function valueAt(points: readonly Point[], at: number): number {
  let [low, high] = [0, points.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((points[middle] as Point).at <= at) low = middle
    else high = middle
  }
  const [before, after] = [points[low] as Point, points[high] as Point]
  const share = Math.min(1, Math.max(0, (at - before.at) / (after.at - before.at)))
  return before.value + (after.value - before.value) * share
}

/** Dots of a cell of Braille, two across and four down, by column and from the bottom up. */
const DOTS = [
  [0x40, 0x04, 0x02, 0x01],
  [0x80, 0x20, 0x10, 0x08],
] as const
const BLANK = 0x2800

/** Each column of dots reaches to the one before it, so that a steep curve is still a line. */
function braille(levels: readonly number[], lines: number): readonly string[] {
  const cells = Array.from({ length: lines }, () => new Uint8Array(Math.ceil(levels.length / 2)))
  for (const [column, level] of levels.entries()) {
    const before = levels[column - 1] ?? level
    const [from, to] = before < level ? [before + 1, level] : before > level ? [level, before - 1] : [level, level]
    for (let dot = from; dot <= to; dot++) {
      const row = cells[lines - 1 - (dot >> 2)] as Uint8Array
      const cell = column >> 1
      row[cell] = (row[cell] ?? 0) | (DOTS[column % 2]?.[dot % 4] ?? 0)
    }
  }
  return cells.map((row) => String.fromCharCode(...Array.from(row, (dots) => BLANK + dots)).replaceAll('\u2800', ' '))
}

/** Low, middle and high in a line. */
const ASCII = ['.', '-', "'"] as const

function ascii(levels: readonly number[], lines: number): readonly string[] {
  return Array.from({ length: lines }, (_, line) => {
    const floor = (lines - 1 - line) * ASCII.length
    return levels.map((level) => ASCII[level - floor] ?? ' ').join('')
  })
}
