import type { z } from 'zod'
import type { matrixRowView } from '#coordinator/api/matrix.ts'

export type MatrixRow = z.output<typeof matrixRowView>
export type Measure = 'accuracy' | 'loss'
/** A figure, or why there is none: a site that said nothing differs from one that keeps its figures back. */
export type Cell = number | 'noReport' | 'noFigures' | 'nobody' | 'masked' | 'expired'
export type MatrixTable = {
  /** Nodes, by their ids: a column each. */
  readonly sites: readonly string[]
  readonly lines: readonly Line[]
  /** Of what was trained, for the colours: next to a first model all others look alike. */
  readonly least: number
  readonly most: number
}
export type Line = {
  readonly row: MatrixRow
  readonly all: Cell
  readonly bySite: readonly Cell[]
  /** Between the best site and the worst; null where fewer than two have told. */
  readonly spread: number | null
  /** Columns in which no other model does better: 0 is that of all sites. */
  readonly best: ReadonlySet<number>
}

/** Models as lines, sites as columns. */
export function matrixTable(rows: readonly MatrixRow[], measure: Measure): MatrixTable {
  const sites = [...new Set(rows.flatMap((row) => row.sites?.map(({ node }) => node) ?? []))].sort()
  const cells = rows.map((row): readonly Cell[] => [
    row.all?.[measure] ?? 'nobody',
    ...sites.map((node) => cellOf(row, node, measure)),
  ])
  const trained = cells.filter((_, index) => rows[index]?.round !== 0)
  const told = (trained.length > 0 ? trained : cells).flat().filter((cell) => typeof cell === 'number')
  const bests = Array.from({ length: sites.length + 1 }, (_, column) =>
    bestOf(
      cells.map((line) => line[column]),
      measure,
    ),
  )
  const lines = rows.map((row, index): Line => {
    const line = cells[index] ?? []
    const [all = 'nobody', ...bySite] = line
    const figures = bySite.filter((cell) => typeof cell === 'number')
    const spread = figures.length < 2 ? null : Math.max(...figures) - Math.min(...figures)
    const best = new Set(line.flatMap((cell, column) => (cell === bests[column] ? [column] : [])))
    return { row, all, bySite, spread, best }
  })
  return { sites, lines, least: Math.min(...told), most: Math.max(...told) }
}

function cellOf({ sites, why }: MatrixRow, node: string, measure: Measure): Cell {
  if (why) return why
  const site = sites?.find((one) => one.node === node)
  return site ? (site[measure] ?? 'noFigures') : 'noReport'
}

function bestOf(cells: readonly (Cell | undefined)[], measure: Measure): number | undefined {
  const figures = cells.filter((cell) => typeof cell === 'number')
  const [least, most] = [Math.min(...figures), Math.max(...figures)]
  if (!(least < most)) return undefined
  return measure === 'accuracy' ? most : least
}

/** How far up the scale a figure is, from 0 to 1. */
export function shareOf(figure: number, { least, most }: Pick<MatrixTable, 'least' | 'most'>): number {
  return most > least ? Math.min(1, Math.max(0, (figure - least) / (most - least))) : 0
}

/** A line for each model at each site: every program reads that, however many sites there are. */
export function matrixCsv(rows: readonly MatrixRow[]): readonly (readonly (string | number | null)[])[] {
  const head = ['round', 'model', 'tested_in', 'site', 'rows', 'correct', 'accuracy', 'loss', 'why']
  return [
    head,
    ...rows.flatMap(({ round, model, tested_in, all, sites, why }) => [
      [round, model, tested_in, 'all', all?.rows ?? null, null, all?.accuracy ?? null, all?.loss ?? null, why],
      ...(sites ?? []).map((site) => [
        ...[round, model, tested_in, site.node, site.rows, site.correct, site.accuracy, site.loss, null],
      ]),
    ]),
  ]
}
