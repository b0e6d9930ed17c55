import { uint32Stream } from '#aggregation/rng.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { shuffle, type Words } from './shuffle.ts'

/**
 * Rows dealt to sites as real sites differ: for every class, the sites' shares are drawn from Dirichlet(alpha) (Hsu, Qi,
 * Brown 2019, arXiv:1909.06335; small alpha: each class lives at few sites). Every row goes to one site. A draw that
 * leaves a site short of `minimum` is thrown away and drawn again, so what comes out is the distribution under that
 * condition.
 * @returns ascending row numbers by site
 */
export function dirichletSplit(options: {
  readonly labels: ArrayLike<number>
  readonly sites: number
  readonly alpha: number
  readonly minimum: number
  /** 32 bytes. */
  readonly seed: Bytes
}): readonly (readonly number[])[] {
  const { labels, sites, alpha, minimum, seed } = options
  assert(sites >= 1 && alpha > 0, 'a split is over sites, by a positive alpha')
  if (sites * minimum > labels.length)
    throw new RangeError(`${sites} sites of ${minimum} rows need more than ${labels.length}`)
  const next = uint32Stream(seed)
  const rows = Array.from({ length: labels.length }, (_, row) => row)
  const classes = [...Map.groupBy(rows, (row) => labels[row] as number)].sort(([a], [b]) => a - b)
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const split: number[][] = Array.from({ length: sites }, () => [])
    for (const [, members] of classes) deal(shuffle([...members], next), dirichlet(sites, alpha, next), split)
    if (split.every((site) => site.length >= minimum)) return split.map((site) => site.sort((a, b) => a - b))
  }
  throw new RangeError(`no draw in ${DRAWS_MAX} left every site ${minimum} rows: ask for fewer rows, or a larger alpha`)
}

/**
 * Where there are so many sites that no draw leaves each of them its rows: whoever has most gives, a row at a time, to
 * whoever has fewest.
 */
export function levelled(split: readonly (readonly number[])[], minimum: number): readonly (readonly number[])[] {
  const total = split.reduce((sum, rows) => sum + rows.length, 0)
  assert(split.length * minimum <= total, 'there are rows enough for all')
  const sites = split.map((rows) => [...rows])
  for (const poor of sites.filter((rows) => rows.length < minimum))
    while (poor.length < minimum) {
      const rich = sites.reduce((most, rows) => (rows.length > most.length ? rows : most))
      poor.push(rich.pop() as number)
    }
  return sites.map((rows) => rows.sort((a, b) => a - b))
}

const DRAWS_MAX = 10_000

/** Cuts `rows` where the shares' running sum says. */
function deal(rows: readonly number[], shares: readonly number[], split: readonly number[][]): void {
  let sum = 0
  let from = 0
  for (const [site, share] of shares.entries()) {
    sum += share
    const to = site === shares.length - 1 ? rows.length : Math.min(Math.round(sum * rows.length), rows.length)
    for (const row of rows.slice(from, to)) split[site]?.push(row)
    from = to
  }
}

/** Shares that sum to 1: gamma draws over their sum. */
function dirichlet(count: number, alpha: number, next: Words): readonly number[] {
  const draws = Array.from({ length: count }, () => gamma(alpha, next))
  const sum = draws.reduce((total, draw) => total + draw, 0)
  return draws.map((draw) => draw / sum)
}

/** Gamma(shape, 1): Marsaglia and Tsang 2000; below shape 1, their boost by U^(1/shape) from shape + 1. */
function gamma(shape: number, next: Words): number {
  if (shape < 1) return gamma(shape + 1, next) * uniform(next) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = normal(next)
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(uniform(next)) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v
  }
}

/** Box and Muller, the cosine half. */
function normal(next: Words): number {
  return Math.sqrt(-2 * Math.log(uniform(next))) * Math.cos(2 * Math.PI * uniform(next))
}

/** In (0, 1): never 0, whose logarithm is no number. */
function uniform(next: Words): number {
  return (next() + 0.5) / 2 ** 32
}
