import type { Block, Signer } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { type ClientMessage, say } from '#protocol/messages.ts'
import type { ClientTransport } from '#protocol/ports.ts'
import type { Place } from './seat.ts'
import type { Sequence } from './sequence.ts'
import type { Word } from './words.ts'

type VoiceDoors = {
  readonly transport: ClientTransport
  readonly signer: Signer
  readonly coordinator: NodeId
  readonly sequence: Sequence
}

/** A message without what every frame has: to whom, and with which number. */
export type Unaddressed<M> = M extends unknown ? Omit<M, 'to' | 'seq'> : never

/** What a node says to its coordinator: each frame is signed, says whom it is for, and has a number above the one before. */
export class Voice {
  readonly #doors: VoiceDoors

  constructor(doors: VoiceDoors) {
    this.#doors = doors
  }

  say(message: Unaddressed<ClientMessage>, blocks: readonly Block[] = []): Promise<void> {
    return this.send(this.frame(message, blocks))
  }

  /** Of one round. */
  speak({ run, round }: Place, { utterance, blocks }: Word): Promise<void> {
    return this.say({ ...utterance, run, round } as Unaddressed<ClientMessage>, blocks)
  }

  /** Takes the next number. */
  frame(message: Unaddressed<ClientMessage>, blocks: readonly Block[] = []): Bytes {
    const { signer, coordinator: to, sequence } = this.#doors
    return say(signer, { ...message, to, seq: sequence.next() } as ClientMessage, blocks)
  }

  /** A frame may be sent again: it is the same to the last byte. */
  send(frame: Bytes): Promise<void> {
    return this.#doors.transport.send(frame)
  }
}
