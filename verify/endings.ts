import {
  checkCertificate,
  openSession,
  openSharing,
  openSurvival,
  type Session,
  speaker,
} from '#aggregation/secagg/session.ts'
import type { Cid } from '#protocol/ids.ts'
import { type Endings, endingsSchema } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'
import type { Standing } from './round.ts'
import type { Order } from './run.ts'
import { readCertified, readRoster } from './transcript.ts'
import { asStep } from './verdict.ts'

type Ending = Endings[number]

/**
 * Step `endings`: what a plan tells of earlier sessions over its model is what their members signed. They are of rounds
 * between the last closed one and this, each with its certificate or with abandonments by its members. Whether that is
 * enough to give another input is for each member to judge; that it was told the truth is shown here.
 */
export async function checkEndings(
  blocks: Blocks,
  order: Order,
  start: Standing,
  plan: Plan,
): Promise<Result<undefined, 'endings'>> {
  if (plan.endings === null) return accept(undefined)
  const list = await blocks.read(plan.endings, endingsSchema)
  if (!list.ok) return asStep('endings', 'the list', list)
  const inOrder = order.kind === 'asking' ? accept(undefined) : checkOrder(list.value, start, plan)
  if (!inOrder.ok) return inOrder
  for (const ending of list.value) {
    const checked = await checkEnding(blocks, order, plan.model, ending)
    if (!checked.ok) return asStep('endings', `of round ${ending.round}`, checked)
  }
  return accept(undefined)
}

/** A model's sessions are its own run's. Of a question's plan they may be of any other question: answers are spent by data. */
function checkOrder(endings: Endings, start: Standing, plan: Plan): Result<undefined, 'endings'> {
  let before = start.closed
  for (const { round } of endings) {
    if (round <= before || round >= plan.round)
      return refuse('endings', `round ${round} is not after round ${before} and before this one`)
    before = round
  }
  return accept(undefined)
}

async function checkEnding(
  blocks: Blocks,
  { kind, run }: Order,
  model: Cid,
  ending: Ending,
): Promise<Result<undefined>> {
  const enrolled = await readRoster(blocks, ending.roster)
  if (!enrolled.ok) return enrolled
  const { roster, adverts } = enrolled.value
  const { task, round, modelCid } = roster.body
  const isOwn = kind === 'asking' ? task === modelCid : task === run.task && modelCid === model
  if (!isOwn || round !== ending.round)
    return refuse('another-round', `its roster is of round ${round} of ${task} over ${modelCid}`)
  const session = openSession(roster, adverts, run.coordinator)
  if (!session.ok) return session
  const certified = ending.certified && (await checkCertified(blocks, session.value, ending.certified))
  if (certified && !certified.ok) return certified
  return checkAbandons(blocks, session.value, ending.abandons)
}

async function checkCertified(
  blocks: Blocks,
  session: Session,
  links: NonNullable<Ending['certified']>,
): Promise<Result<unknown>> {
  const read = await readCertified(blocks, links)
  if (!read.ok) return read
  const { shared, keys, survivors, inputs, certificate } = read.value
  const sharing = openSharing(session, shared, keys)
  if (!sharing.ok) return sharing
  const survival = openSurvival(sharing.value, survivors, inputs)
  return survival.ok ? checkCertificate(survival.value, certificate) : survival
}

/** By members of the session, ascending, none twice. */
async function checkAbandons(blocks: Blocks, session: Session, cids: readonly Cid[]): Promise<Result<undefined>> {
  let before = 0
  for (const cid of cids) {
    const said = await blocks.said('Abandon', cid)
    if (!said.ok) return said
    const member = speaker(session, said.value)
    if (!member.ok) return member
    if (member.value.u <= before) return refuse('list-not-sorted', `member ${member.value.u} after member ${before}`)
    before = member.value.u
  }
  return accept(undefined)
}
