import { expect, test } from '@jest/globals'
import { Shortage } from '#cli/shortage.ts'

const opened = (round: number, invited: number) => ({
  ...{ type: 'round.opened', run: 'run_1', seq: 0, time: '' },
  ...{ round, purpose: 'train', invited },
})
const told = (needed: number | undefined, counts: readonly number[]) => {
  const shortage = new Shortage(needed)
  return counts.map((invited, index) => shortage.follow(opened(index + 1, invited)))
}

test('whoever watches is told that a round waits for sites, and anew when another number of them is there', () => {
  expect(told(3, [0, 0, 1, 3, 1])).toEqual([
    'round 1 waits for nodes of its population: 0 nodes linked, 3 needed',
    undefined,
    'round 3 waits for nodes of its population: 1 node linked, 3 needed',
    undefined,
    'round 5 waits for nodes of its population: 1 node linked, 3 needed',
  ])
})

test('where it is not known how many are needed, only that none is there is told', () => {
  expect(told(undefined, [1, 0])).toEqual([undefined, 'round 2 waits for nodes of its population: 0 nodes linked'])
  expect(new Shortage(3).follow({ type: 'node.joined', run: 'run_1', seq: 0, time: '', invited: 0 })).toBeUndefined()
})
