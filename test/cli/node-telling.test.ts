import { expect, test } from '@jest/globals'
import { sayProgress } from '#cli/node-telling.ts'
import { outputTo } from '#cli/output.ts'
import type { RunId } from '#protocol/ids.ts'
import { checkPrinted } from './printed.ts'

test('a node that trains on a sample of its rows says of how many, to a person and to a program', () => {
  const made = { kind: 'training', run: 'run_1' as RunId, round: 2, epoch: 1, epochs: 3, loss: 0.25 } as const
  const said = (json: boolean, sample?: { rows: number; of: number }) => {
    let text = ''
    const stream = { write: (more: string) => (text += more) }
    sayProgress(outputTo({ out: stream, err: stream }, {}, { json, quiet: false }), {
      ...made,
      ...(sample && { sample }),
    })
    return text
  }
  expect(said(false)).toBe('r2  trained   epoch 1/3  loss 0.2500\n')
  const sample = { rows: 65_536, of: 284_807 }
  expect(said(false, sample)).toBe(
    'r2  trained   epoch 1/3  loss 0.2500  on 65536 of 284807 rows, all that the task takes\n',
  )
  const stdout = said(true, sample)
  expect(JSON.parse(stdout)).toMatchObject({ sample_rows: 65_536, labelled_rows: 284_807 })
  checkPrinted(['node', 'up'], { stdout })
  expect(JSON.parse(said(true))).not.toHaveProperty('sample_rows')
})
