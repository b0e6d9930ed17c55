import { expect, test } from '@jest/globals'
import { chanceOf } from '#sim/chance.ts'
import { type Cell, cells, playCell } from '#test/sim/matrix.ts'

const all = cells(8)
/** How many of them, drawn evenly: a slice in CI, all of them where it is not said. */
const COUNT = process.env['CONSILIUM_SEEDS'] === undefined ? all.length : Number(process.env['CONSILIUM_SEEDS'])

test(`${COUNT} of ${all.length}: whichever nodes are lost in whichever stage, the round ends in its time, by a name`, async () => {
  const draw = chanceOf(1)('cells')
  const drawn = all
    .map((cell) => ({ cell, rank: draw() }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, COUNT)
  const table = new Map<string, Map<string, number>>()
  const started = performance.now()
  for (const [index, { cell }] of drawn.entries()) {
    const end = await playCell(cell, index).catch((cause: unknown) => {
      throw new Error(`${JSON.stringify(cell)}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    })
    const row = table.get(nameOf(cell)) ?? new Map<string, number>()
    table.set(nameOf(cell), row.set(end, (row.get(end) ?? 0) + 1))
  }
  for (const [name, ends] of [...table].sort(([a], [b]) => (a < b ? -1 : 1)))
    process.stdout.write(`${name}: ${[...ends].map(([end, count]) => `${end} ${count}`).join(', ')}\n`)
  const seconds = Math.round((performance.now() - started) / 1000)
  process.stdout.write(`matrix: ${drawn.length} rounds in ${seconds} s\n`)
  expect(drawn.length).toBeGreaterThan(0)
}, 7_200_000)

function nameOf({ of, masking, stage, how, nodes }: Cell): string {
  return `${masking.padEnd(8)} ${stage.padEnd(14)} ${how.padEnd(11)} ${nodes.length} of ${of}`
}
