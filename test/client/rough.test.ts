import { describe, expect, test } from '@jest/globals'
import { lyingSession, roughSession, type Told } from './rough.ts'

describe('a slice of the campaign', () => {
  test('over a rough network a session is summed exactly, or too few are left; nobody leaves for what it heard', async () => {
    const endings = []
    for (const seed of [0, 1, 2, 3]) endings.push(await roughSession(seed))
    expect(endings.filter((ending) => ending === 'exact').length).toBeGreaterThan(2)
  })

  test('whatever a coordinator says, each member says each thing once, and of nobody both secrets come out', async () => {
    const told: Told[] = []
    for (const seed of [8, 9, 10, 11, 12, 13, 14, 15]) told.push(await lyingSession(seed))
    // The lies get far enough to matter.
    expect(told.some(({ unmasks }) => unmasks > 0)).toBe(true)
    expect(told.filter(({ confirms }) => confirms > 0).length).toBeGreaterThan(4)
  })
})
