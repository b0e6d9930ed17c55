import { assert } from '#protocol/assert.ts'

/** Where a curve goes through: x ascending. */
export type Point = { readonly x: number; readonly y: number }

/**
 * Which points of a curve to draw where there is room for so many: largest triangle three buckets (Steinarsson 2013, chapter 4).
 * The first and the last stay; of each bucket between them the point stays that spans the largest triangle with the one kept
 * before it and the mean of the next bucket, the first of equals. The same curve always gives the same points.
 *
 * @param to at least 3
 * @returns indices, ascending
 */
export function downsample(points: readonly Point[], to: number): readonly number[] {
  assert(to >= 3, 'a curve is drawn through three points or more')
  if (points.length <= to) return points.map((_, index) => index)
  const last = points.length - 1
  const edge = (bucket: number) => 1 + Math.floor((bucket * (last - 1)) / (to - 2))
  const kept = [0]
  for (let bucket = 0; bucket < to - 2; bucket++) {
    const from = points[kept.at(-1) as number] as Point
    const next = points.slice(edge(bucket + 1), Math.min(edge(bucket + 2), last + 1))
    const mean = bucket === to - 3 ? (points[last] as Point) : meanOf(next)
    let [best, largest] = [edge(bucket), -1]
    for (let index = edge(bucket); index < edge(bucket + 1); index++) {
      const area = twiceTheArea(from, points[index] as Point, mean)
      if (area > largest) [best, largest] = [index, area]
    }
    kept.push(best)
  }
  return [...kept, last]
}

function meanOf(points: readonly Point[]): Point {
  const sum = points.reduce((all, { x, y }) => ({ x: all.x + x, y: all.y + y }), { x: 0, y: 0 })
  return { x: sum.x / points.length, y: sum.y / points.length }
}

function twiceTheArea(a: Point, b: Point, c: Point): number {
  return Math.abs((a.x - c.x) * (b.y - a.y) - (a.x - b.x) * (c.y - a.y))
}
