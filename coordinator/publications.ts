import { z } from 'zod'
import { cidField, count, millisField, runIdField } from '#protocol/codec.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import type { EventLog } from '#protocol/ports.ts'
import { Chronicle } from './chronicle.ts'
import type { Run } from './run.ts'

/** Entries of the stream, after which nothing more is published: a thousand runs at ten providers take a tenth of it. */
const EVENTS_MAX = 500_000
const ENTRY_BYTES_MAX = 2048

/** A provider, by the name that the operator has for it. */
const providerField = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
/** The record with its vectors, while somebody may verify it; for good the model, and the record without vectors. */
export const publishedField = z.enum(['record', 'model', 'bundle'])
export const requestStatusField = z.enum(['queued', 'pinning', 'pinned', 'failed'])
const requestField = z.string().regex(/^[\x21-\x7e]{1,255}$/)

const publicationSchema = z.strictObject({
  provider: providerField,
  /** The provider's id of it. */
  request: requestField,
  run: runIdField,
  what: publishedField,
  cid: cidField,
  /** How far the run was: of two records the one further on leads to the other. */
  place: count(ROUNDS_MAX + 1),
  status: requestStatusField,
  /** When it was made. */
  at: millisField,
})
const publicationEventSchema = z.discriminatedUnion('kind', [
  /** The provider has our request, and says so much of it: the first time, or something new. */
  z.strictObject({ kind: z.literal('told'), ...publicationSchema.shape }),
  /** It is no request of ours any more: we have let it go, or the provider knows nothing of it. */
  z.strictObject({
    kind: z.literal('dropped'),
    provider: providerField,
    request: requestField,
    run: runIdField,
    what: publishedField,
  }),
])

export type Publication = z.output<typeof publicationSchema>
type PublicationEvent = z.output<typeof publicationEventSchema>
/** Something of a run that is to be pinned at every provider. */
export type Wanted = Pick<Publication, 'run' | 'what' | 'cid' | 'place'>

/** Our requests at all providers, whichever process has made them. */
export class Publications {
  readonly #chronicle: Chronicle<PublicationEvent, Map<string, Publication>>

  constructor(log: EventLog) {
    this.#chronicle = new Chronicle<PublicationEvent, Map<string, Publication>>({
      ...{ log, stream: 'publications', schema: publicationEventSchema, entryBytesMax: ENTRY_BYTES_MAX },
      ...{ state: new Map(), step },
    })
  }

  select(matches: (publication: Publication) => boolean): Promise<readonly Publication[]> {
    return this.#chronicle.read((known) => [...known.values()].filter(matches))
  }

  /** @returns the request that stands: of two for one thing at one provider the first, whoever made it */
  tell(publication: Publication): Promise<Publication> {
    return this.#chronicle.write((known, position) => {
      const { provider, run, what, cid } = publication
      const standing = [...known.values()].find(
        (other) => other.provider === provider && other.run === run && other.what === what && other.cid === cid,
      )
      if (standing && standing.request !== publication.request) return { events: [], answer: standing }
      if (standing?.status === publication.status) return { events: [], answer: standing }
      if (position >= EVENTS_MAX) throw new Error(`the list of publications is full, at ${position} entries`)
      const told = { ...publication, at: standing?.at ?? publication.at }
      return { events: [{ kind: 'told', ...told }], answer: told }
    })
  }

  async drop({ provider, request, run, what }: Publication): Promise<void> {
    const event = { kind: 'dropped' as const, provider, request, run, what }
    await this.#chronicle.write((known) => ({ events: known.has(keyOf(event)) ? [event] : [], answer: undefined }))
  }
}

function step(known: Map<string, Publication>, event: PublicationEvent): void {
  if (event.kind === 'dropped') return void known.delete(keyOf(event))
  const { kind: _, ...publication } = event
  known.set(keyOf(publication), publication)
}

/** One request may stand for several things: services have one for each CID, and two runs may end in one model. */
function keyOf({ provider, request, run, what }: Pick<Publication, 'provider' | 'request' | 'run' | 'what'>): string {
  return `${provider} ${run} ${what} ${request}`
}

export type PublicationRule = {
  /** Of hospitals nothing is published unless the operator says so. */
  readonly publishHospitals: boolean
  /** When a run's vectors expire; null while nobody can say, and where they never do. */
  readonly vectorsUntil: (run: Run) => Millis | null
  /** The bundle without vectors of a run that has ended, as a file in our store; undefined where there is none. */
  readonly bundleOf: (run: Run) => Promise<Cid | undefined>
}

/**
 * What of a run is to be pinned. A manifest leads to those before it, so the newest stands for all: the last closed round's,
 * and then the run's own, which leads to what came to nothing as well.
 */
export async function wantedOf(run: Run, rule: PublicationRule, now: Millis): Promise<readonly Wanted[]> {
  const { spec, phase, model } = run
  if (!isPublished(run, rule)) return []
  const wanted: Wanted[] = []
  const place = run.past.length + (run.manifest ? 1 : 0)
  const want = (what: Wanted['what'], cid: Cid) => wanted.push({ run: spec.run, what, cid, place })
  const until = rule.vectorsUntil(run)
  const record = run.manifest ?? run.parent
  if (record && (until === null || now < until)) want('record', record)
  if (phase !== 'ended') return wanted
  // A question is no model, and what no round has made is anybody's to make again.
  if (spec.purpose === 'train' && run.trained > 0) want('model', model)
  const bundle = await rule.bundleOf(run)
  if (bundle) want('bundle', bundle)
  return wanted
}

export function isPublished({ spec }: Pick<Run, 'spec'>, { publishHospitals }: PublicationRule): boolean {
  return spec.population === 'open' || publishHospitals
}
