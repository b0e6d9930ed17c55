import { expect, test } from '@jest/globals'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { RUN } from '#sim/setting.ts'
import { toyTrainer } from '#sim/toy.ts'
import { coordinator } from './bench.ts'
import { Host } from './host.ts'
import { kindsLeft, told } from './stages.ts'

const nothing = cidOf(RAW, new Uint8Array(0))

/** The second round, over a model that its coordinator says the first one made. */
async function openOverLie(host: Host): Promise<void> {
  await host.open()
  const model: Cid = await host.node(0).otherModel()
  const parent = await keepSealed(host.blobs, coordinator, 'round', {
    ...{ v: 1, run: RUN, round: 1, purpose: 'train', parent: null, plan: host.plan, session: null },
    selection: nothing,
    seats: nothing,
    ...{ aggregate: nothing, memory: nothing, model, evaluation: { rows: 0, correct: 0, lossQ16: 0 } },
  })
  await host.open(2, { parent, model })
  await host.join()
  await host.deal(await host.roster())
}

test('a node that trained on a model which nobody can recompute leaves, and nothing of the training does', async () => {
  const host = new Host(4)
  await openOverLie(host)
  for (const seat of host.seats) {
    expect((await host.hear(seat, 'leave')).message.reason).toBe('model-not-recomputed')
    expect(told(host.node(seat), 'failed')).toEqual([expect.stringMatching(/^model-not-recomputed: .*round 1: /)])
    expect(await kindsLeft(host, seat)).toEqual([])
    expect(host.node(seat).stored).toEqual([])
  }
})

test('… not even why it could not be trained on', async () => {
  const failing = (site: number): ReturnType<typeof toyTrainer> => ({
    ...toyTrainer(site),
    async fit() {
      throw new TrainingRefused('diverged', 'the loss is not a number')
    },
  })
  const host = new Host(4, { trainer: failing })
  await openOverLie(host)
  for (const seat of host.seats) {
    expect((await host.hear(seat, 'leave')).message.reason).toBe('model-not-recomputed')
    expect(await kindsLeft(host, seat)).toEqual([])
  }
})
