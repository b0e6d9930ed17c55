import { abandonAfterRestart } from '#aggregation/secagg/participant.ts'
import type { Signed, Signer } from '#protocol/envelope.ts'
import type { CoordinatorMessage } from '#protocol/messages.ts'
import type { BlobStore, RemoteStore } from '#protocol/ports.ts'
import type { SessionMessage } from './entry.ts'
import { type Journal, type Recollection, saidEntry } from './journal.ts'
import { handOver } from './outbox.ts'
import { abandonWord, blocksOf, confirmWord, submitWord, unmaskWord, type Word } from './words.ts'

export type RecollectionDoors = {
  readonly journal: Journal
  readonly outbox: BlobStore
  readonly blobs: RemoteStore
  readonly signer: Signer
  /** Fires when the process ends. */
  readonly signal: AbortSignal
}

/** What a coordinator may say of a session, or of its end. */
export type Asked = SessionMessage | Extract<CoordinatorMessage, { readonly kind: 'ended' }>

/**
 * What a node answers of a session that this process holds nothing of: it restarted since, or left. Of its earlier words it
 * repeats those that were asked for, as they are; and it signs nothing new (R3), but that it holds nothing any more. It is a
 * dropout then, and says so where others would wait for it.
 */
export async function recollect(
  doors: RecollectionDoors,
  message: Asked,
  found: Recollection,
): Promise<Word | undefined> {
  const { said } = found
  if (message.kind === 'ended') return parting(doors, message, found)
  // Who said that it holds nothing says nothing that takes holding something.
  if (said.has('Abandon')) return waitedFor(message, 'abandoned')
  switch (message.kind) {
    case 'mask':
      return resubmission(doors, found)
    case 'survivors':
      return repeated(said.get('Confirm'), confirmWord) ?? waitedFor(message, 'restarted')
    case 'certificate':
      return repeated(said.get('Unmask'), unmaskWord) ?? waitedFor(message, 'restarted')
    case 'seated':
    case 'shared':
      return said.has('MaskedInput') ? undefined : waitedFor(message, 'restarted')
  }
}

/** The round came to nothing: whoever did not unmask signs that it never will. Nobody knows what was confirmed before. */
async function parting(
  { journal, outbox, signer }: RecollectionDoors,
  { run, round, outcome }: Extract<Asked, { readonly kind: 'ended' }>,
  { member, said, vector }: Recollection,
): Promise<Word | undefined> {
  if (vector) await outbox.delete(vector.cid)
  if (outcome !== 'aborted' || !member || said.has('Unmask')) return undefined
  const before = said.get('Abandon')
  if (before) return abandonWord(before)
  const { signed } = abandonAfterRestart(signer, member.sid, member.u)
  await journal.keep(run, round, [saidEntry(signed)])
  return abandonWord(signed)
}

async function resubmission(doors: RecollectionDoors, { said, vector }: Recollection): Promise<Word | undefined> {
  const input = said.get('MaskedInput')
  if (!input || !vector) return undefined
  const given = await handOver(doors, vector, blocksOf(input), doors.signal)
  return submitWord(input, vector.cid, vector.trainMillis, given)
}

function repeated(signed: Signed | undefined, word: (signed: Signed) => Word): Word | undefined {
  return signed && word(signed)
}

/** Once for each thing that others wait for. */
function waitedFor(message: SessionMessage, reason: string): Word | undefined {
  if (message.kind === 'mask' || (message.kind === 'shared' && message.part > 0)) return undefined
  return { utterance: { kind: 'leave', reason }, blocks: [] }
}
