import { nearest } from './nearest.ts'

/** Everything that a run tells, by type, with what has happened then: the only list of it. */
export const EVENTS = {
  'run.created': 'it was ordered',
  'run.funded': 'its budget, or that of an extension, is reserved',
  'run.extended': 'rounds were added',
  'run.pausing': 'it pauses once the open round is over',
  'run.paused': 'no round opens until it is resumed',
  'run.resumed': 'it goes on',
  'run.stopping': 'its owner ends it',
  'run.completed': 'it is done, and its record sealed',
  'run.failed': 'it came to nothing, and its record is sealed',
  'run.stopped': 'it was ended, and its record is sealed',
  'round.opened': 'nodes are invited under a plan',
  'round.completed': 'it has closed, with what it came to',
  'round.aborted': 'it came to nothing, for a reason; by the last word of a node, where it is named',
  'round.recorded': 'what became of one that came to nothing is sealed',
  'round.settled': 'its receipts are signed',
  'phase.ended': 'its time was over, with some still awaited',
  'node.joined': 'one wants a seat',
  'node.declined': 'one wants none, for a reason',
  'node.left': 'one gave its seat up, or was lost',
  'update.reported': 'one has delivered',
  'session.enrolled': 'who is in the masked round is signed',
  'session.shared': 'so is who has dealt keys',
  'session.surveyed': 'so is whose input is in',
  'session.certified': 'and that a quorum has confirmed that',
  'session.abandoned': 'a member erased what it held of a session that opens no sum',
  'keys.dealt': 'one has dealt its keys',
  'keys.agreed': 'one finds its shares in order',
  'keys.disputed': 'one does not',
  'survivors.confirmed': 'one has confirmed whose input is in',
  'masks.answered': 'one gave its shares of the masks',
  'model.aggregated': 'a model was made, or tested',
  'question.answered': 'a sum answers the question',
  'vectors.expired': 'vectors of old rounds are kept no longer',
  'vectors.deleted': 'and are deleted',
} as const
export type EventType = keyof typeof EVENTS

export const EVENT_TYPES = Object.keys(EVENTS) as readonly EventType[]

/** Whether a type is meant: by itself, by `round.*` with all that start so, or by `*`. */
export function isMeant(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type
}

/** Of those that mean nothing that ever happens; `nearest` is what was probably meant. */
export function mistakeInPattern(pattern: string): { readonly nearest: string | undefined } | undefined {
  if (EVENT_TYPES.some((type) => isMeant(pattern, type))) return undefined
  const groups = new Set(EVENT_TYPES.map((type) => `${type.split('.')[0]}.*`))
  return { nearest: nearest(pattern, [...EVENT_TYPES, ...groups]) }
}
