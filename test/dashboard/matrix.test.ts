import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { csvOf } from '#dashboard/csv.ts'
import { type MatrixRow, matrixCsv, matrixTable, shareOf } from '#dashboard/matrix-table.ts'

const site = (node: string, accuracy: number | null) => ({ node, rows: 10, correct: 5, accuracy, loss: accuracy })
const row = (round: number, sites: MatrixRow['sites'], why: MatrixRow['why'] = null): MatrixRow => ({
  ...{ round, model: `m${round}`, tested_in: round + 1, sites, why },
  all: { rows: 20, sites: null, accuracy: 0.5, loss: 0.5 },
})

describe('the matrix of models and sites', () => {
  test('says of each figure that is not there why it is not', () => {
    const rows = [
      row(0, [site('a', 0.1), site('b', null)]),
      row(1, [site('a', 0.4)]),
      row(2, null, 'expired'),
      { ...row(3, null, 'masked'), all: null },
    ]
    const { sites, lines } = matrixTable(rows, 'accuracy')
    expect(sites).toEqual(['a', 'b'])
    expect(lines.map(({ all, bySite }) => [all, ...bySite])).toEqual([
      [0.5, 0.1, 'noFigures'],
      [0.5, 0.4, 'noReport'],
      [0.5, 'expired', 'expired'],
      ['nobody', 'masked', 'masked'],
    ])
  })

  test('the best model of a site is the most accurate one, or that with the least loss, and none where all are alike', () => {
    const rows = [row(0, [site('a', 0.1), site('b', 0.9)]), row(1, [site('a', 0.4), site('b', 0.2)])]
    const bestOf = (measure: 'accuracy' | 'loss') => matrixTable(rows, measure).lines.map(({ best }) => [...best])
    expect([bestOf('accuracy'), bestOf('loss')]).toEqual([
      [[2], [1]],
      [[1], [2]],
    ])
  })

  test('the first model does not make all others look alike: it is off the scale', () => {
    const rows = [row(0, [site('a', 0.1)]), row(1, [site('a', 0.6)]), row(2, [site('a', 0.8)])]
    const table = matrixTable(rows, 'accuracy')
    expect([table.least, table.most]).toEqual([0.5, 0.8])
    expect([0.1, 0.5, 0.8].map((figure) => shareOf(figure, table))).toEqual([0, 0, 1])
  })

  test('every figure has a place on the scale, and the spread is between two of its line', () => {
    const figure = fc.option(fc.double({ min: 0, max: 9, noNaN: true }))
    const sites = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), figure), { selector: ([node]) => node })
    fc.assert(
      fc.property(fc.array(sites, { minLength: 1 }), (told) => {
        const rows = told.map((one, round) =>
          row(
            round,
            one.map(([node, value]) => site(node, value)),
          ),
        )
        const table = matrixTable(rows, 'loss')
        const { lines } = table
        for (const { bySite, spread } of lines) {
          const figures = bySite.filter((cell) => typeof cell === 'number')
          for (const value of figures) expect(shareOf(value, table)).toBeGreaterThanOrEqual(0)
          for (const value of figures) expect(shareOf(value, table)).toBeLessThanOrEqual(1)
          expect(spread === null).toBe(figures.length < 2)
          if (spread !== null) expect(figures.some((a) => figures.some((b) => a - b === spread))).toBe(true)
        }
      }),
    )
  })

  test('has one line of its CSV for each model at each site, and one for all of them', () => {
    const rows = [row(0, [site('a', 0.1), site('b', null)]), row(1, null, 'masked')]
    expect(csvOf(matrixCsv(rows)).trimEnd().split('\r\n')).toEqual([
      'round,model,tested_in,site,rows,correct,accuracy,loss,why',
      '0,m0,1,all,20,,0.5,0.5,',
      '0,m0,1,a,10,5,0.1,0.1,',
      '0,m0,1,b,10,5,,,',
      '1,m1,2,all,20,,0.5,0.5,masked',
    ])
  })
})
