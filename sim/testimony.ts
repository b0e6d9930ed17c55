import type { NodeId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import { Violation } from './watch.ts'

/** What nodes signed of a round, over all their lives: each says a thing once, however often it is repeated. */
export class Testimony {
  readonly #said = new Map<string, string>()

  hear(from: NodeId, message: ClientMessage): void {
    const statement = statementOf(message)
    if (!statement || !('round' in message)) return
    const place = `${from} ${message.run} ${message.round} ${statement.of}`
    const before = this.#said.get(place)
    if (before !== undefined && before !== statement.says)
      throw new Violation(`${from} says two things in round ${message.round}: ${message.kind}`)
    this.#said.set(place, statement.says)
  }
}

/** A join is none: the advert in it is bound to nothing before the roster takes it. */
function statementOf(message: ClientMessage): { readonly of: string; readonly says: string } | undefined {
  switch (message.kind) {
    case 'report':
      return { of: 'report', says: message.vector }
    case 'deal':
      return { of: 'keys', says: message.keys }
    case 'agree':
      return { of: `answer to ${message.shared}`, says: 'agrees' }
    case 'object':
      return { of: `answer to ${message.shared}`, says: message.complaints.join() }
    case 'submit':
      return { of: 'input', says: `${message.input} ${message.vector}` }
    case 'confirm':
      return { of: 'confirm', says: message.confirm }
    case 'unmask':
      return { of: 'unmask', says: message.unmask }
    case 'abandon':
      return { of: 'abandon', says: message.abandon }
    case 'hello':
    case 'join':
    case 'decline':
    case 'leave':
    case 'capability':
    case 'measured':
    case 'busy':
    case 'dataset':
    case 'considered':
      return undefined
  }
}
