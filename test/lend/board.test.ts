import { afterAll, expect, test } from '@jest/globals'
import type { Progress } from '#client/progress.ts'
import { parseRunId } from '#protocol/ids.ts'

/** As much of a page as a board writes on. */
class Place {
  textContent = ''
}
const places = new Map<string, Place>()
const page = {
  HTMLElement: Place,
  document: {
    title: '',
    getElementById: (id: string) => places.get(id) ?? places.set(id, new Place()).get(id),
  },
}
const before = Object.keys(page).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const)
Object.assign(globalThis, page)
afterAll(() => {
  for (const [name, was] of before) if (was) Object.defineProperty(globalThis, name, was)
})

test('why a round came to nothing here still stands when it is over, and until the next one', async () => {
  const { Board } = await import('#client/lend/board.ts')
  const run = parseRunId(`run_${'0'.repeat(26)}`)
  if (!run.ok) throw new Error('it is a run')
  const board = new Board()
  const tell = (made: object) => board.tell({ run: run.value, round: 1, ...made } as Progress)
  const state = () => places.get('state')?.textContent
  tell({ kind: 'joined' })
  tell({ kind: 'failed', reason: 'data-contract: no column age' })
  tell({ kind: 'ended', outcome: 'aborted' })
  const told = 'the round is over (aborted), waiting for the next (this round went wrong: data-contract: no column age)'
  expect(state()).toBe(told)
  // What was on its way is refused.
  tell({ kind: 'refused', reason: 'no-round' })
  expect(state()).toBe(told)
  tell({ kind: 'joined', round: 2 })
  tell({ kind: 'ended', round: 2, outcome: 'closed' })
  expect(state()).toBe('the round is over (closed), waiting for the next')
})
