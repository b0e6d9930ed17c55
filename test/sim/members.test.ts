import { describe, expect, test } from '@jest/globals'
import type { Outcome } from '#sim/cluster.ts'
import type { Moment } from '#sim/story.ts'
import { play } from './play.ts'

/** Whoever joined, declined or left in any round. */
async function heardOf(options: Parameters<typeof play>[0]) {
  const heard = new Set<string>()
  const tell = (moment: Moment) => {
    if (moment.type === 'event' && 'node' in moment.advanced.event) heard.add(moment.advanced.event.node)
  }
  return { outcome: await play({ ...options, tell }), heard }
}

const idsOf = ({ nodes }: Outcome, sites: readonly number[]) =>
  new Set(sites.map((site) => nodes[site]?.signer.id as string))

describe('a run of a federation', () => {
  test.each(['none', 'secagg/1'] as const)(
    'invites its members and nobody else, and closes without the others (%s)',
    async (masking) => {
      const members = [0, 2, 3, 5]
      const { outcome, heard } = await heardOf({ nodes: 7, rounds: 1, members, masking })
      expect(outcome.run).toMatchObject({ phase: 'ended', trained: 1, failures: 0 })
      expect(heard).toEqual(idsOf(outcome, members))
      // It waited for no answer of those whom it did not ask.
      const [first] = outcome.run.past
      expect((first?.endedAt ?? 0) - (first?.openedAt ?? 0)).toBeLessThan(2000)
    },
  )

  test('does the same over several processes, in bad weather, whoever comes and goes', async () => {
    const members = [1, 2, 4]
    const weather = { loss: 0.05, duplication: 0.2, delayMillis: 60, breaks: 2 }
    const { outcome, heard } = await heardOf({
      ...{ nodes: 6, rounds: 2, members, coordinators: 2, weather, patience: 2, seed: 7 },
    })
    for (const id of heard) expect(idsOf(outcome, members)).toContain(id)
  })
})
