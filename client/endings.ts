import { sessionId } from '#aggregation/secagg/derive.ts'
import type { Said } from '#aggregation/secagg/messages.ts'
import { openSession, openSharing, openSurvival, type Session } from '#aggregation/secagg/session.ts'
import { type Ending, type Freshness, maySpend, UNSPENT } from '#aggregation/secagg/spending.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { decode } from '#protocol/codec.ts'
import type { NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { type Endings, endingsSchema } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { SpentInput } from './journal.ts'
import { readAdverts, readAll, readInputs, readKeys, readSaid } from './said.ts'

/**
 * R5, at the invitation: whether an input under the plan's key may go into another session. The plan shows how each session
 * that this node gave one to has ended, in messages that other members signed; the coordinator's word counts for nothing.
 * Where this node itself saw a certificate it need not be shown: the next run over the same data or model is another.
 */
export async function freshnessFor(
  plan: Plan,
  { spent, witnessed }: { readonly spent: readonly SpentInput[]; readonly witnessed: readonly Ending[] },
  { blobs, coordinator, own }: { readonly blobs: BlobStore; readonly coordinator: NodeId; readonly own: NodeId },
): Promise<Result<Freshness>> {
  if (spent.length === 0) return accept(UNSPENT)
  if (plan.endings === null && witnessed.length === 0)
    return refuse('input-spent', 'the plan shows no ending of any session')
  const shown = await readEndings(blobs, plan)
  if (!shown.ok) return shown
  const endings = [...witnessed]
  for (const one of shown.value) {
    const roster = await readSaid(blobs, 'Roster', one.roster)
    if (!roster.ok) return roster
    const sid = sessionId(roster.value.hash)
    if (!spent.some((one) => equalBytes(one.sid, sid))) continue
    const session = await openEnded(blobs, coordinator, roster.value)
    if (!session.ok) return session
    const ending = await openEnding(blobs, session.value, one)
    if (!ending.ok) return ending
    endings.push(ending.value)
  }
  const fresh = maySpend(own, spent, endings)
  if (!fresh.ok) return fresh
  // Seeds are a task's and a round's: trained again under the same ones it would be the same input. An answer has no seed.
  const isAgain = (round: number) => plan.purpose === 'ask' || round === plan.round
  const same = spent.some(({ task, round }) => task === plan.task && isAgain(round))
  return accept({ ...fresh.value, isRepeat: fresh.value.mustBeFresh && same })
}

async function readEndings(blobs: BlobStore, { endings }: Plan): Promise<Result<Endings | readonly []>> {
  if (endings === null) return accept([])
  return decode(endingsSchema, await blobs.getBlock(endings, BLOCK_BYTES_MAX), BLOCK_BYTES_MAX)
}

async function openEnded(blobs: BlobStore, coordinator: NodeId, roster: Said<'Roster'>): Promise<Result<Session>> {
  const adverts = await readAdverts(roster, blobs)
  return adverts.ok ? openSession(roster, adverts.value, coordinator) : adverts
}

async function openEnding(
  blobs: BlobStore,
  session: Session,
  { certified, abandons }: Endings[number],
): Promise<Result<Ending>> {
  if (certified === null) {
    const said = await readAll(blobs, 'Abandon', abandons)
    return said.ok ? accept({ kind: 'abandoned', session, abandons: said.value }) : said
  }
  const shared = await readSaid(blobs, 'Shared', certified.shared)
  if (!shared.ok) return shared
  const keys = await readKeys(shared.value, blobs)
  if (!keys.ok) return keys
  const sharing = openSharing(session, shared.value, keys.value)
  if (!sharing.ok) return sharing
  const survivors = await readSaid(blobs, 'Survivors', certified.survivors)
  if (!survivors.ok) return survivors
  const inputs = await readInputs(survivors.value, blobs)
  if (!inputs.ok) return inputs
  const survival = openSurvival(sharing.value, survivors.value, inputs.value)
  if (!survival.ok) return survival
  const certificate = await readSaid(blobs, 'QuorumCert', certified.certificate)
  if (!certificate.ok) return certificate
  return accept({ kind: 'certified', survival: survival.value, certificate: certificate.value })
}
