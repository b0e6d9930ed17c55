import { type MaskCt, maskCtListSchema, type Said } from '#aggregation/secagg/messages.ts'
import type { SessionRecord } from '#aggregation/secagg/verification.ts'
import type { Cid } from '#protocol/ids.ts'
import type { SessionManifest } from '#protocol/manifest.ts'
import { accept, type Result } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'

/** What was said in a session, read by the names that a manifest or a plan gives: each signed, none of it judged. */
type Transcript = {
  readonly record: SessionRecord
  /** As they are kept: one block for each survivor that has any. */
  readonly ciphertexts: readonly (readonly MaskCt[])[]
}

export async function readTranscript(blocks: Blocks, links: SessionManifest): Promise<Result<Transcript>> {
  const enrolled = await readRoster(blocks, links.roster)
  if (!enrolled.ok) return enrolled
  const certified = await readCertified(blocks, links)
  if (!certified.ok) return certified
  const result = await blocks.said('Result', links.result)
  if (!result.ok) return result
  const ciphertexts: (readonly MaskCt[])[] = []
  for (const cid of links.maskCts) {
    const list = await blocks.read(cid, maskCtListSchema)
    if (!list.ok) return list
    ciphertexts.push(list.value)
  }
  const rest = { result: result.value, maskCts: ciphertexts.flat() }
  return accept({ record: { ...enrolled.value, ...certified.value, ...rest }, ciphertexts })
}

export async function readRoster(blocks: Blocks, cid: Cid): Promise<Result<Pick<SessionRecord, 'roster' | 'adverts'>>> {
  const roster = await blocks.said('Roster', cid)
  if (!roster.ok) return roster
  const named = roster.value.body.members.map(({ advert }) => advert)
  const adverts = await blocks.saidAll('Advert', named)
  return adverts.ok ? accept({ roster: roster.value, adverts: adverts.value }) : adverts
}

/** From U2 to the certificate. */
export async function readCertified(
  blocks: Blocks,
  links: Pick<SessionManifest, 'shared' | 'survivors' | 'certificate'>,
): Promise<Result<Pick<SessionRecord, 'shared' | 'keys' | 'survivors' | 'inputs' | 'certificate'>>> {
  const shared = await blocks.said('Shared', links.shared)
  if (!shared.ok) return shared
  const keys = await blocks.saidAll('ShareKeys', listedBy(shared.value))
  if (!keys.ok) return keys
  const survivors = await blocks.said('Survivors', links.survivors)
  if (!survivors.ok) return survivors
  const inputs = await blocks.saidAll('MaskedInput', listedBy(survivors.value))
  if (!inputs.ok) return inputs
  const certificate = await blocks.said('QuorumCert', links.certificate)
  if (!certificate.ok) return certificate
  return accept({
    ...{ shared: shared.value, keys: keys.value, survivors: survivors.value, inputs: inputs.value },
    certificate: certificate.value,
  })
}

function listedBy({ body }: Said<'Shared'> | Said<'Survivors'>): readonly Cid[] {
  return body.list.map(({ cid }) => cid)
}
