import { describe, expect, test } from '@jest/globals'
import { Considering } from '#client/considering.ts'
import { judge } from '#client/judgement.ts'
import { policyFor } from '#client/policy.ts'
import { siteTerms } from '#client/site.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import { planFor } from '#coordinator/effects/open.ts'
import { orderOf } from '#coordinator/record.ts'
import { stepRun } from '#coordinator/run.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type Block, sealOf, signerOf } from '#protocol/envelope.ts'
import type { RunId } from '#protocol/ids.ts'
import { signAs } from '#protocol/sealed.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { request } from '#test/coordinator/live.ts'

const coordinator = signerOf(sha256(utf8('coordinator')))
const question = new Uint8Array(16).fill(9)
const trainer = { backend: 'wasm' }

/** A plan of the first round of such a run, with all that it is judged by. */
async function planned(change: object) {
  const blobs = openMemoryBlobs()
  const spec = await createRun(
    blobs,
    'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId,
    createRunSchema.parse(request(change)),
    null,
  )
  if (!spec.ok) throw new Error(spec.detail)
  const run = stepRun(undefined, { kind: 'created', at: 0, spec: spec.value })
  if (!run.ok) throw new Error(run.refusal)
  const order = await orderOf(blobs, spec.value)
  const { seal, body } = sealOf(signAs(coordinator, 'plan', planFor(run.value, order, 1, null)))
  await blobs.putBlocks([seal, body])
  if ('items' in order.subject) throw new Error('a question')
  const cids = [spec.value.task, order.subject.architecture, spec.value.genesis]
  const named = cids.map(async (cid): Promise<Block> => ({ cid, bytes: await blobs.getBlock(cid, 2 ** 20) }))
  return { blobs, plan: seal.cid, run: spec.value.run, blocks: [seal, body, ...(await Promise.all(named))] }
}

const CASES: readonly (readonly [string, object, ReturnType<typeof siteTerms>, number])[] = [
  ['a round that it would join', {}, siteTerms('open', 'open'), 2],
  ['fewer reports than it wants', {}, siteTerms('open', 'open'), 3],
  ['a task that is too large for it', {}, siteTerms('open', 'open', { memoryBytesMax: 10 }), 2],
  [
    'another population',
    { population: 'hospital', cohort: { min: 3, max: 3, quorum: 2 } },
    siteTerms('open', 'open'),
    2,
  ],
  [
    'fewer corrupt nodes than it has to fear',
    { cohort: { min: 3, max: 3, quorum: 2 } },
    siteTerms('open', 'open', { maxCorrupt: 2 }),
    2,
  ],
]

describe('a node that is asked what it would make of a plan', () => {
  test.each(CASES)('says of %s what it says when the plan is one of a round', async (_, change, site, cohortMin) => {
    const { blobs, plan, run, blocks } = await planned(change)
    const doors = { blobs, coordinator: coordinator.id, site, trainer, policy: policyFor('open', cohortMin, site) }
    const judged = await judge(doors, plan, { run, round: 1 })
    const unread = { ...doors, blobs: { ...blobs, getBlock: fails, get: () => fails() }, clock: virtualClock(0) }
    const answer = await new Considering(unread).answer({ kind: 'consider', question, plan }, blocks)
    const expected = judged.ok
      ? { refusal: null, detail: '' }
      : { refusal: judged.refusal, detail: judged.detail ?? '' }
    expect(answer).toEqual({ kind: 'considered', question, ...expected })
  })

  test('says nothing of a plan that it cannot read whole, or that another coordinator signed', async () => {
    const { blobs, plan, blocks } = await planned({})
    const site = siteTerms('open', 'open')
    const doors = {
      blobs,
      coordinator: coordinator.id,
      ...{ site, trainer },
      policy: policyFor('open', 2, site),
      clock: virtualClock(0),
    }
    expect(
      await new Considering(doors).answer({ kind: 'consider', question, plan }, blocks.slice(0, 3)),
    ).toBeUndefined()
    const stranger = { ...doors, coordinator: signerOf(sha256(utf8('stranger'))).id }
    const answer = await new Considering(stranger).answer({ kind: 'consider', question, plan }, blocks)
    expect(answer).toMatchObject({ refusal: 'unreadable-plan' })
  })

  test('answers a few at once and one in five seconds from then on', async () => {
    const { blobs, plan, blocks } = await planned({})
    const clock = virtualClock(0)
    const site = siteTerms('open', 'open')
    const doors = { blobs, coordinator: coordinator.id, site, trainer, policy: policyFor('open', 2, site), clock }
    const considering = new Considering(doors)
    const ask = async () => (await considering.answer({ kind: 'consider', question, plan }, blocks)) !== undefined
    const burst: boolean[] = []
    for (let times = 0; times < 12; times++) burst.push(await ask())
    expect(burst).toEqual([...Array<boolean>(10).fill(true), false, false])
    await clock.advance(5000)
    expect([await ask(), await ask()]).toEqual([true, false])
  })
})

const fails = (): never => {
  throw new Error('nothing is fetched for a question')
}
